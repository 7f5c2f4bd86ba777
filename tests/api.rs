//! The four verbs as JSON: the same rights as on the pages, refusals as problem details.

use reqwest::Method;
use sealwright_world::journey;
use serde_json::json;

use crate::on_both_databases;
use crate::support::client::{Client, answer};
use crate::support::{Database, TestWorld};

on_both_databases! {
    instances_are_started_viewed_listed_and_acted_on,
    an_operator_ends_what_cannot_go_on,
    what_is_no_request_is_refused_in_words,
    what_no_database_holds_is_not_found,
    what_is_open_stays_on_the_start_page,
}

async fn instances_are_started_viewed_listed_and_acted_on(database: Database) {
    let test = TestWorld::start_with(database, &[], "stock = [\"1\"]").await;
    let alice = Client::sign_in(&test, "alice", "user").await;
    let (status, started) = alice.post("/api/v1/instances", "{\"workflow\":\"personalize\"}").await;
    assert_eq!(status, 201, "{started}");
    let id = started["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/instances/{id}");
    // A second start gives the first.
    assert_eq!(alice.post("/api/v1/instances", "{\"workflow\":\"personalize\"}").await.1["id"], id.as_str());
    let view = alice.until(&path, |view| view["state"] == "insert-card").await;
    assert_eq!((view["status"].as_str(), view["owner"].as_str()), (Some("running"), Some("alice")));
    assert_eq!(view["data"]["person"]["employee_number"], "1001");
    assert_eq!(view["tree"][0]["history"][0]["event"], "started");
    let (_, list) = alice.get("/api/v1/instances?open=true&workflow=personalize").await;
    assert_eq!(list["instances"].as_array().map(Vec::len), Some(1));
    // A card that is not in stock leads to a question; the answer is an action.
    let page = format!("/instances/{id}");
    let mut begun = test.alice().await;
    assert_eq!(begun.path, page);
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "Answer on the page.").await.expect("said");
    let asked = alice.until(&path, |view| view["state"] == "card-not-usable").await;
    assert_eq!(asked["actions"], json!(["try-again", "stop", "cancel"]));
    let step = asked["step"].as_u64().expect("a step");
    let stale = format!("{{\"step\":{}}}", step - 1);
    assert_eq!(alice.post(&format!("{path}/actions/stop"), &stale).await.0, 409);
    let unknown_field = format!("{{\"step\":{step},\"fields\":{{\"why\":\"because\"}}}}");
    assert_eq!(alice.post(&format!("{path}/actions/stop"), &unknown_field).await.0, 400);
    // Others neither see it nor act on it, whatever their role; an operator of the authority sees it.
    let bob = Client::sign_in(&test, "bob", "user").await;
    let body = format!("{{\"step\":{step}}}");
    assert_eq!(bob.get(&path).await.0, 404);
    assert_eq!(bob.post(&format!("{path}/actions/stop"), &body).await.0, 404);
    assert_eq!(bob.get("/api/v1/instances").await.1["instances"], json!([]));
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    assert_eq!(carl.get(&path).await.1["actions"], json!(["cancel"]));
    assert_eq!(carl.post(&format!("{path}/actions/stop"), &body).await.0, 403);
    let (status, stopped) = alice.post(&format!("{path}/actions/stop"), &body).await;
    assert_eq!((status, stopped["status"].as_str()), (200, Some("cancelled")), "{stopped}");
}

async fn an_operator_ends_what_cannot_go_on(database: Database) {
    let test = TestWorld::start(database).await;
    let begun = test.alice().await;
    let path = format!("/api/v1/instances/{}", begun.instance);
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    let waits = carl.until(&path, |view| view["state"] == "insert-card").await;
    let (status, ended) =
        carl.post(&format!("{path}/actions/cancel"), &format!("{{\"step\":{}}}", waits["step"])).await;
    assert_eq!((status, ended["status"].as_str()), (200, Some("cancelled")), "{ended}");
    let acted = test.audited("workflow-acted").await;
    assert_eq!(acted.len(), 1);
    assert_eq!(acted[0].actor.as_deref(), Some("carl"));
}

async fn what_is_no_request_is_refused_in_words(database: Database) {
    let test = TestWorld::start(database).await;
    let alice = Client::sign_in(&test, "alice", "user").await;
    for body in [
        "",
        "[]",
        "{",
        "{}",
        "{\"workflow\":1}",
        "{\"workflow\":\"personalize\",\"more\":1}",
        "\u{0}",
        &"[".repeat(1000),
    ] {
        assert_eq!(alice.post("/api/v1/instances", body).await.0, 400, "{body:?}");
    }
    let large = format!("{{\"workflow\":\"{}\"}}", "x".repeat(100_000));
    assert_eq!(alice.post("/api/v1/instances", &large).await.0, 400);
    for workflow in ["no-such-workflow", "../personalize", ""] {
        let body = json!({ "workflow": workflow }).to_string();
        assert_eq!(alice.post("/api/v1/instances", &body).await.0, 404, "{workflow}");
    }
    // Only another workflow starts this one, and this one is not a user's.
    for workflow in ["certify-slot", "issue-crl"] {
        let body = json!({ "workflow": workflow }).to_string();
        assert_eq!(alice.post("/api/v1/instances", &body).await.0, 403, "{workflow}");
    }
    assert_eq!(alice.submit("/start/issue-crl", "").await, 403);
    let refused = test.audited("start-refused").await;
    let mut workflows: Vec<_> = refused.iter().filter_map(|row| row.detail.as_ref()?["workflow"].as_str()).collect();
    workflows.sort_unstable();
    assert_eq!(workflows, ["certify-slot", "issue-crl", "issue-crl"]);
    assert!(refused.iter().all(|row| row.actor.as_deref() == Some("alice") && row.address.is_some()));
    // What it is about must be named, by an id, and what the form asks for must be given.
    let id = "01a200e2-5df3-761d-b34c-0acf376ff6ff";
    for data in [
        json!({}),
        json!({ "certificate": id }),
        json!({ "certificate": id, "reason": "boredom" }),
        json!({ "certificate": "no-id" }),
        json!({ "certificate": 1 }),
        json!({ "reason": "x" }),
    ] {
        let body = json!({ "workflow": "revoke-certificate", "data": data }).to_string();
        assert_eq!(alice.post("/api/v1/instances", &body).await.0, 400, "{body}");
    }
    // What the workflow finds out itself is not taken from outside.
    for data in [json!({ "slots": [] }), json!({ "person": { "id": "bob" } }), json!({ "card": null })] {
        let body = json!({ "workflow": "personalize", "data": data }).to_string();
        assert_eq!(alice.post("/api/v1/instances", &body).await.0, 400, "{body}");
    }
    for path in [
        "/api/v1/instances/1",
        "/api/v1/instances/01a200e2-5df3-761d-b34c-0acf376ff6ff",
        "/api/v1/nothing",
        "/api/v1/instances?open=perhaps",
    ] {
        let status = alice.get(path).await.0;
        assert!(status == 404 || status == 400, "{path}: {status}");
    }
    // Without the token of the session's forms nothing is changed.
    let request = alice.request(Method::POST, "/api/v1/instances").header("content-type", "application/json");
    assert_eq!(answer(request.body("{\"workflow\":\"personalize\"}")).await.0, 403);
    assert_eq!(alice.get("/api/v1/instances").await.1["instances"], json!([]));
}

/// PostgreSQL has no NUL in a text, and no answer to who asks for one.
async fn what_no_database_holds_is_not_found(database: Database) {
    let test = TestWorld::start(database).await;
    let alice = Client::sign_in(&test, "alice", "user").await;
    assert_eq!(alice.get("/api/v1/instances?workflow=%00").await, (200, json!({ "instances": [] })));
    assert_eq!(alice.get("/api/v1/certificates?wanted=%00").await, (200, json!({ "certificates": [] })));
    assert_eq!(alice.submit("/role", "role=%00&to=/").await, 403);
    assert_eq!(test.audited("role-refused").await.len(), 1);
    let list = reqwest::get(format!("{}/pki/crl/%00.crl", test.world.public_url)).await.expect("an answer");
    assert_eq!(list.status(), 404);
}

/// However much has begun and ended since.
async fn what_is_open_stays_on_the_start_page(database: Database) {
    let test = TestWorld::start(database).await;
    let _begun = test.alice().await;
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    for _ in 0..26 {
        let (status, started) = carl.post("/api/v1/instances", "{\"workflow\":\"issue-crl\"}").await;
        assert_eq!(status, 201, "{started}");
    }
    let page = carl.request(Method::GET, "/").send().await.expect("an answer").text().await.expect("a page");
    let open = journey::between(&page, "<h2>In progress</h2>", "</section>").unwrap_or_default();
    assert!(open.contains("Personalize your smart card"), "{page}");
}
