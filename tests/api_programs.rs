//! The API as programs use it: service accounts, requests that are sent twice, and a description that is true.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use crate::journey::approval::{asked, task};
use crate::on_both_databases;
use crate::support::client::{Client, answer};
use crate::support::{Database, TestWorld, run};

on_both_databases! {
    a_service_account_calls_with_its_token_alone,
    a_request_that_is_sent_twice_is_carried_out_once,
    a_start_that_began_nothing_is_remembered_too,
    no_generated_request_is_an_error_of_the_server,
}

/// Runs `sealwright service-account`.
pub fn account(test: &TestWorld, arguments: &[&str]) -> String {
    let config = test.world.folder.join("sealwright.toml").display().to_string();
    let all = [&["service-account"], arguments, &["--config", &config]].concat();
    run(env!("CARGO_BIN_EXE_sealwright"), &all, &[]).trim().to_owned()
}

/// A request at the address where nobody signs in.
async fn call(test: &TestWorld, path: &str, token: Option<&str>) -> (u16, Value) {
    let mut request = reqwest::Client::new().get(format!("{}{path}", test.world.agent_url));
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    answer(request).await
}

async fn a_service_account_calls_with_its_token_alone(database: Database) {
    let test = TestWorld::start(database.alone()).await;
    let token = account(&test, &["add", "inventory", "--role", "auditor"]);
    assert!(token.starts_with("sealwright_") && token.len() > 50, "{token}");
    let bearer = format!("Bearer {token}");
    let (status, list) = call(&test, "/api/v1/instances", Some(&bearer)).await;
    assert_eq!((status, list["instances"].is_array()), (200, true), "{list}");
    // It has the rights of its role: an auditor starts nothing.
    let start = reqwest::Client::new().post(format!("{}/api/v1/instances", test.world.agent_url));
    let start = start.header("authorization", &bearer).header("content-type", "application/json");
    assert_eq!(answer(start.body("{\"workflow\":\"issue-crl\"}")).await.0, 403);
    let wrong = format!("{bearer}x");
    for token in [None, Some("Bearer "), Some("Bearer sealwright_guess"), Some(wrong.as_str()), Some(token.as_str())] {
        assert_eq!(call(&test, "/api/v1/instances", token).await.0, 401, "{token:?}");
    }
    assert_eq!(test.audited("sign-in-refused").await.len(), 5);
    let asked = reqwest::get(format!("{}/api/v1/instances", test.world.agent_url)).await.expect("an answer");
    assert_eq!(asked.headers().get("www-authenticate").and_then(|value| value.to_str().ok()), Some("Bearer"));
    // A token is nothing at the pages' address, and there is no session here.
    let pages = reqwest::Client::new().get(format!("http://{}/api/v1/instances", test.world.pages));
    assert_eq!(answer(pages.header("authorization", &bearer)).await.0, 403);
    assert_eq!(call(&test, "/api/v1/session", Some(&bearer)).await.0, 404);
    account(&test, &["revoke", "inventory"]);
    assert_eq!(call(&test, "/api/v1/instances", Some(&bearer)).await.0, 401);
    assert_eq!(account(&test, &["list"]), "inventory\tauditor\trevoked");
    // Neither the log nor the database has the token; they have its account.
    assert_eq!(test.files_with(&token), Vec::<PathBuf>::new());
    assert!(!test.files_with("inventory").is_empty());
}

/// A request with an idempotency key.
async fn send(by: &Client, path: &str, key: &str, body: &str) -> (u16, Value) {
    let request = by.request(Method::POST, path).header("X-CSRF-Token", by.csrf());
    let request = request.header("content-type", "application/json").header("Idempotency-Key", key);
    answer(request.body(body.to_owned())).await
}

async fn a_request_that_is_sent_twice_is_carried_out_once(database: Database) {
    let test = TestWorld::start(database).await;
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    let post = async |path: &str, key: &str, body: &str| send(&carl, path, key, body).await;
    let body = "{\"workflow\":\"issue-crl\"}";
    // At the same moment, and again.
    let (first, second) = tokio::join!(post("/api/v1/instances", "one", body), post("/api/v1/instances", "one", body));
    assert_eq!((first.0, second.0), (201, 201), "{first:?} {second:?}");
    assert_eq!(first.1["id"], second.1["id"]);
    assert_eq!(post("/api/v1/instances", "one", body).await.1["id"], first.1["id"]);
    // Another key is another request.
    let other = post("/api/v1/instances", "two", body).await;
    assert_ne!(other.1["id"], first.1["id"]);
    for key in ["", &"x".repeat(129)] {
        assert_eq!(post("/api/v1/instances", key, body).await.0, 400);
    }
    // Somebody else's key is theirs.
    let alice = Client::sign_in(&test, "alice", "user").await;
    let (status, started) = send(&alice, "/api/v1/instances", "one", "{\"workflow\":\"personalize\"}").await;
    assert_eq!(status, 201, "{started}");
    assert_ne!(started["id"], first.1["id"]);
    // An action: the second time it is done already, though its step is over.
    let path = format!("/api/v1/instances/{}", started["id"].as_str().expect("an id"));
    let waits = carl.until(&path, |view| view["state"] == "insert-card").await;
    let act = json!({ "step": waits["step"] }).to_string();
    let path = format!("{path}/actions/cancel");
    // A key is for one request alone.
    assert_eq!(post(&path, "one", &act).await.0, 422);
    assert_eq!(post(&path, "stop", &act).await.0, 200);
    assert_eq!(post(&path, "stop", &act).await.0, 200);
    assert_eq!(test.audited("workflow-acted").await.len(), 1);
    assert_eq!(post(&path, "again", &act).await.0, 409);
}

/// What is open already is given instead of a new instance, and to the same key also once that has ended.
async fn a_start_that_began_nothing_is_remembered_too(database: Database) {
    let test = TestWorld::start(database).await;
    let alice = Client::sign_in(&test, "alice", "user").await;
    let start = async |key: &str| {
        let (status, started) = send(&alice, "/api/v1/instances", key, "{\"workflow\":\"personalize\"}").await;
        (status, started["id"].as_str().map(str::to_owned))
    };
    let first = start("first").await;
    assert_eq!((first.0, first.1.is_some()), (201, true));
    // At the same moment, and again.
    let (one, two) = tokio::join!(start("open"), start("open"));
    assert_eq!((&one, &two), (&first, &first));
    assert_eq!(start("open").await, first);
    let path = format!("/api/v1/instances/{}", first.1.as_deref().expect("an id"));
    let waits = alice.until(&path, |view| view["state"] == "insert-card").await;
    let act = json!({ "step": waits["step"] }).to_string();
    assert_eq!(send(&alice, &format!("{path}/actions/cancel"), "stop", &act).await.0, 200);
    assert_eq!(alice.get(&path).await.1["status"], "cancelled");
    // Sent again, neither of the two begins anything.
    for key in ["first", "open"] {
        assert_eq!(start(key).await, first, "{key}");
    }
    assert_eq!(alice.get("/api/v1/instances").await.1["instances"].as_array().map(Vec::len), Some(1));
    let second = start("second").await;
    assert_eq!(second.0, 201);
    assert_ne!(second, first);
    // While that one is open, a key still gives what it gave, and one of another request is none of this.
    assert_eq!(start("open").await, first);
    assert_eq!(start("stop").await, (422, None));
    assert_eq!(start("third").await, second);
}

/// schemathesis makes thousands of requests of the description: none may be an error of the server, and every answer is as described.
async fn no_generated_request_is_an_error_of_the_server(database: Database) {
    let test = TestWorld::start_with_approvals(database, 1).await;
    let (_begun, _agent) = asked(&test).await;
    let pages = format!("http://{}", test.world.pages);
    // No id that it thinks of is one of an instance: it is told that of a question, with its step, and of actions that leave it there.
    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let question = task(&rita).await;
    let told = format!(
        "[parameters]\n\"path.id\" = {}\n\"path.action\" = {{ dictionary = \"actions\", probability = 0.9 }}\n\"body.step\" = {}\n\n\
         [dictionaries.actions]\nvalues = [\"claim\", \"release\", \"approve\", \"reject\"]\n",
        question["instance"], question["step"]
    );
    let report = generated(&test, &pages, &rita.headers(), &told, &["--include-path-regex", "/instances/"]);
    for operation in ["GET /api/v1/instances/{id}", "POST /api/v1/instances/{id}/actions/{action}"] {
        let accepted = &report["valid_rates"][operation]["fuzzing"]["accepted"];
        assert!(accepted.as_u64() > Some(0), "{operation}: {report:#}");
    }
    let token = account(&test, &["add", "schemathesis", "--role", "ca-operator"]);
    // A program has no session.
    let bearer = [format!("Authorization: Bearer {token}")];
    generated(&test, &test.world.agent_url, &bearer, "", &["--exclude-path", "/api/v1/session"]);
    // The same API, as somebody's browser uses it.
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    generated(&test, &pages, &carl.headers(), "", &[]);
    assert!(!test.log().contains("\"status\":500"));
}

/// Sends what schemathesis thinks of for the description at `base`, where it is `told` nothing else in its configuration; it must find nothing wrong
/// with the answers. Gives its report.
fn generated(test: &TestWorld, base: &str, headers: &[String], told: &str, further: &[&str]) -> Value {
    let tool = format!("{}/var/tools/schemathesis/bin/schemathesis", env!("CARGO_MANIFEST_DIR"));
    let url = format!("{base}/api/v1/openapi.json");
    // What it remembers stays in the test's folder.
    let folder = test.path("").display().to_string();
    let [config, report] = ["schemathesis.toml", "report.json"].map(|name| test.path(name).display().to_string());
    std::fs::write(&config, told).expect("written");
    let mut arguments = vec!["-C", &folder, &tool, "--config-file", &config, "run", &url, "--max-examples", "40"];
    arguments.extend(["--seed", "7", "--generation-database", "none", "--report", "json"]);
    arguments.extend(["--report-json-path", &report, "--checks"]);
    arguments.push("not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance");
    for header in headers {
        arguments.extend(["--header", header]);
    }
    arguments.extend(further);
    let said = run("env", &arguments, &[]);
    // What it prints counts what has passed, whether or not something else has failed.
    let report = std::fs::read_to_string(&report).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let (operations, cases) = (&report["operations"], &report["test_cases"]);
    let found = json!([
        report["exit_code"],
        report["complete"],
        report["failures"],
        report["errors"],
        cases["with_failures"],
        cases["errored"]
    ]);
    assert_eq!(found, json!([0, true, [], [], 0, 0]), "{said}");
    assert!(operations["tested"].as_u64() > Some(0) && operations["tested"] == operations["selected"], "{said}");
    report
}
