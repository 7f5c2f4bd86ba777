//! Who the portal believes, and what each surface refuses.

use sealwright::commands::demo::browser::Browser;
use sealwright::commands::demo::journey;

use crate::on_both_databases;
use crate::support::{Database, TestWorld};

on_both_databases! {
    the_header_is_believed_from_the_proxy_alone,
    identity_headers_are_refused_where_nobody_signs_in,
    roles_are_granted_by_their_handlers_alone,
    nobody_sees_or_acts_on_what_is_not_theirs,
    a_person_whose_entry_is_incomplete_is_told_so,
}

/// The status of a request straight to the pages' address, past the proxy.
async fn status(test: &TestWorld, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let mut request = client.get(format!("http://{}{path}", test.world.pages));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

async fn the_header_is_believed_from_the_proxy_alone(database: Database) {
    let test = TestWorld::start(database).await;
    let secret = test.world.secret.clone();
    let good = [("X-Remote-User", "alice"), ("X-Sealwright-Proxy", secret.as_str())];
    assert_eq!(status(&test, "/role", &good).await.0, 200);
    let refused: [&[(&str, &str)]; 7] = [
        &[],
        &[("X-Remote-User", "alice")],
        &[("X-Remote-User", "alice"), ("X-Sealwright-Proxy", "wrong")],
        &[("X-Sealwright-Proxy", secret.as_str())],
        &[("X-Remote-User", "alice"), ("X-Remote-User", "bob"), ("X-Sealwright-Proxy", secret.as_str())],
        &[("X-Remote-User", "alice"), ("X_Remote_User", "bob"), ("X-Sealwright-Proxy", secret.as_str())],
        &[("X-Remote-User", "alice,bob"), ("X-Sealwright-Proxy", secret.as_str())],
    ];
    for headers in refused {
        let (status, body) = status(&test, "/role", headers).await;
        assert_eq!(status, 403, "{headers:?}");
        assert!(body.contains("You are not signed in") && body.contains("Number of this request"), "{body}");
        assert!(!body.contains("alice"), "a refusal says whom it refused");
    }
    // Another machine, here another address of this one, that has learned the secret.
    let elsewhere = reqwest::Client::builder().local_address(std::net::IpAddr::from([127, 0, 0, 2]));
    let mut request = elsewhere.build().expect("a client").get(format!("http://{}/role", test.world.pages));
    for (name, value) in good {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.expect("an answer").status(), 403);
    // Each refusal is in the audit.
    assert_eq!(test.audited("sign-in-refused").await.len(), refused.len() + 1);
}

async fn identity_headers_are_refused_where_nobody_signs_in(database: Database) {
    let test = TestWorld::start(database).await;
    let client = reqwest::Client::new();
    let agents = format!("{}/agent/v1", test.world.agent_url);
    for (name, value) in [("X-Remote-User", "alice"), ("Origin", "https://evil.example")] {
        let answer = client.get(&agents).header(name, value).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 403, "{name}");
    }
    // The surfaces are apart: pages are not served to agents or the public.
    for base in [&test.world.agent_url, &test.world.public_url] {
        let answer = client.get(format!("{base}/role")).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 404);
    }
}

async fn roles_are_granted_by_their_handlers_alone(database: Database) {
    let test = TestWorld::start(database).await;
    for (person, role, granted) in [
        ("alice", "user", true),
        ("alice", "ra-operator", false),
        ("rita", "ra-operator", true),
        ("rita", "ca-operator", false),
        ("carl", "ca-operator", true),
        ("carl", "auditor", true),
        ("carl", "system", false),
        ("alice", "no-such-role", false),
    ] {
        let mut browser = Browser::new(&format!("http://{}", test.world.proxy)).expect("a browser");
        browser.post("/demo", &[("person", person)]).await.expect("picked");
        let page = browser.get("/role").await.expect("the page");
        let csrf = journey::field(&page, "csrf").expect("a form");
        let answer = browser.post("/role", &[("csrf", &csrf), ("role", role), ("to", "/")]).await;
        assert_eq!(answer.is_ok(), granted, "{person} as {role}");
        let forged = browser.post("/role", &[("csrf", "forged"), ("role", "user"), ("to", "/")]).await;
        assert!(forged.is_err(), "a form without the token was taken");
    }
}

async fn nobody_sees_or_acts_on_what_is_not_theirs(database: Database) {
    let test = TestWorld::start(database).await;
    let mut alice = journey::begin(&test.world, "alice").await.expect("begun");
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    assert!(bob.browser.get(&alice.path).await.is_err());
    assert!(bob.browser.get(&format!("/api/v1/instances/{}", alice.instance)).await.is_err());
    let csrf = bob.csrf.clone();
    for action in ["code", "confirm", "act"] {
        let fields = [("csrf", csrf.as_str()), ("action", "stop"), ("step", "1")];
        assert!(bob.browser.post(&format!("{}/{action}", alice.path), &fields).await.is_err(), "{action}");
    }
    // A second start shows the first.
    let csrf = alice.csrf.clone();
    let again = alice.browser.post("/start/personalize", &[("csrf", &csrf)]).await.expect("shown");
    assert_eq!(again, alice.path);
    // A workflow that only another one starts cannot be started from outside.
    assert!(alice.browser.post("/start/revoke-certificate", &[("csrf", &csrf)]).await.is_err());
}

async fn a_person_whose_entry_is_incomplete_is_told_so(database: Database) {
    let test = TestWorld::start(database).await;
    let mut ida = journey::begin(&test.world, "ida").await.expect("begun");
    let patience = std::time::Duration::from_secs(30);
    let pause = std::time::Duration::from_millis(50);
    let page =
        ida.browser.until(&ida.path, patience, pause, |page| page.contains("lacks what a certificate needs")).await;
    assert!(page.is_ok(), "{page:?}");
}
