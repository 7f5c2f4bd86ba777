//! The four verbs as JSON: the same rights as on the pages, refusals as problem details.

use reqwest::Method;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::support::{Database, TestWorld};

on_both_databases! {
    instances_are_started_viewed_listed_and_acted_on,
    an_operator_ends_what_cannot_go_on,
    what_is_no_request_is_refused_in_words,
}

/// Somebody's program, signed in by the proxy's header.
struct Client<'a> {
    test: &'a TestWorld,
    login: &'static str,
    http: reqwest::Client,
    cookie: String,
    csrf: String,
}

impl<'a> Client<'a> {
    /// Signs in and picks a role.
    async fn sign_in(test: &'a TestWorld, login: &'static str, role: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let mut client = Self { test, login, http, cookie: String::new(), csrf: String::new() };
        let answer = client.request(Method::GET, "/api/v1/session").send().await.expect("an answer");
        let cookie = answer.headers().get("set-cookie").expect("a cookie").to_str().expect("text").to_owned();
        let session: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        assert_eq!((session["login"].as_str(), session["role"].as_str()), (Some(login), None));
        client.cookie = cookie.split(';').next().expect("a pair").to_owned();
        client.csrf = session["csrf"].as_str().expect("a token").to_owned();
        let form = format!("csrf={}&role={role}&to=/", client.csrf);
        let chosen = client.request(Method::POST, "/role").body(form);
        let chosen =
            chosen.header("content-type", "application/x-www-form-urlencoded").send().await.expect("an answer");
        assert_eq!(chosen.status(), 303);
        client
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("http://{}{path}", self.test.world.pages))
            .header("X-Remote-User", self.login)
            .header("X-Sealwright-Proxy", &self.test.world.secret)
            .header("Cookie", &self.cookie)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = self.request(Method::POST, path).header("X-CSRF-Token", &self.csrf);
        answer(request.header("content-type", "application/json").body(body.to_owned())).await
    }

    /// The instance, once `done` says so.
    async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..600 {
            let (status, body) = self.get(path).await;
            assert_eq!(status, 200, "{body}");
            if done(&body) {
                return body;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{path} does not show what is expected");
    }
}

/// Status and body; every refusal is a problem with the status in it and words for a person.
async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").expect("a type").to_str().expect("text").to_owned();
    let text = answer.text().await.expect("a body");
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status}: {error}: {text}"));
    if status >= 400 {
        assert_eq!(kind, "application/problem+json", "{body}");
        assert_eq!(body["status"], status);
        assert!(body["request"].as_str().is_some_and(|id| id.len() == 36), "{body}");
        assert!(body["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{body}");
    }
    (status, body)
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
    let code = sealwright::commands::demo::journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            agent.compare(&mut begun, number.trim()).await.expect("the same number");
        }
        if line.contains("Answer on the page.") {
            break;
        }
    }
    let asked = alice.until(&path, |view| view["state"] == "card-not-usable").await;
    assert_eq!(asked["actions"], json!(["try-again", "stop"]));
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
    for workflow in ["revoke-certificate", "issue-crl"] {
        let body = json!({ "workflow": workflow }).to_string();
        assert_eq!(alice.post("/api/v1/instances", &body).await.0, 403, "{workflow}");
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
