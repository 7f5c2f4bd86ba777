//! Who the portal believes, and what each surface refuses.

use std::time::Duration;

use sealwright_world::browser::Browser;
use sealwright_world::journey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::on_both_databases;
use crate::support::client::Client;
use crate::support::{Database, TestWorld, ended, later};

on_both_databases! {
    the_header_is_believed_from_the_proxy_alone,
    headers_that_can_be_read_in_two_ways_are_refused,
    identity_headers_are_refused_where_nobody_signs_in,
    the_audit_has_the_address_that_an_act_came_from,
    what_a_page_asks_by_itself_is_no_use_of_the_session,
    roles_are_granted_by_their_handlers_alone,
    nobody_sees_or_acts_on_what_is_not_theirs,
    a_person_whose_entry_is_incomplete_is_told_so,
    a_cookie_is_good_for_whom_it_was_given_to,
    a_session_of_a_clock_that_was_ahead_is_over,
    a_connection_that_is_kept_signs_nobody_in,
    every_answer_says_how_a_browser_is_to_treat_it,
    a_name_that_a_request_gives_the_portal_is_in_no_answer,
    what_is_no_address_of_a_page_is_answered_in_words,
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
        assert!(body.contains("You are not signed in") && body.contains("Request number"), "{body}");
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

/// A header over two lines (RFC 9112 section 5.2), which a proxy may read otherwise than the portal, and what is no text.
async fn headers_that_can_be_read_in_two_ways_are_refused(database: Database) {
    let test = TestWorld::start(database).await;
    let good = format!("Host: x\r\nConnection: close\r\nX-Sealwright-Proxy: {}\r\n", test.world.secret);
    let say = async |header: &[u8]| {
        let mut stream = tokio::net::TcpStream::connect(test.world.pages).await.expect("a connection");
        let request = [b"GET /role HTTP/1.1\r\n", good.as_bytes(), header, b"\r\n\r\n"].concat();
        stream.write_all(&request).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(say(b"X-Remote-User: alice").await, "HTTP/1.1 200 OK");
    let ambiguous: [&[u8]; 8] = [
        b"X-Remote-User: alice\r\n bob",
        b"X-Remote-User:\r\n alice",
        b"X-Remote-User : alice",
        b"X-Remote-User: al\x00ice",
        b"X-Remote-User: alic\xe9",
        b"X-Remote-User: alice\x0bbob",
        b"X-Remote-User: alice\rX-Remote-User: bob",
        b"X-Remote-User: \xd0\xb0lice",
    ];
    for header in ambiguous {
        let status = say(header).await;
        assert!(
            ["HTTP/1.1 400 Bad Request", "HTTP/1.1 403 Forbidden"].contains(&status.as_str()),
            "{}: {status}",
            header.escape_ascii()
        );
    }
}

/// An open page renews itself; the session of somebody who has gone ends all the same.
async fn what_a_page_asks_by_itself_is_no_use_of_the_session(database: Database) {
    let mut test = TestWorld::start(database).await;
    let [gone, here] = [Client::sign_in(&test, "alice", "user").await, Client::sign_in(&test, "alice", "user").await];
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&later("+50m")).await.expect("restarted");
    let get = |client: &Client, path: &str| client.request(reqwest::Method::GET, path);
    assert_eq!(get(&gone, "/?renewal=1").send().await.expect("an answer").status(), 200);
    assert_eq!(get(&gone, "/events").send().await.expect("an answer").status(), 200);
    assert_eq!(get(&here, "/").send().await.expect("an answer").status(), 200);
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&later("+65m")).await.expect("restarted");
    // Who has gone picks a role again.
    assert_eq!(get(&gone, "/").send().await.expect("an answer").status(), 303);
    assert_eq!(get(&here, "/").send().await.expect("an answer").status(), 200);
}

/// Whoever reads slowly, or has it read out, is not begun anew with every three seconds.
#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_a_page_stops_reloading_itself() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    let page = begun.browser.get(&begun.path).await.expect("the page");
    let stop = journey::between(&page, "every three seconds. <a href=\"", "\"").expect("a link");
    let still = begun.browser.get(&stop.replace("&amp;", "&")).await.expect("the page");
    let reloads = |page: &str| page.contains("http-equiv=\"refresh\"");
    assert!(reloads(&page) && !reloads(&still), "{still}");
}

/// As the proxy says: of several addresses the last, and nothing of what is none, or of what somebody else says.
async fn the_audit_has_the_address_that_an_act_came_from(database: Database) {
    let test = TestWorld::start(database).await;
    let as_seen_from = |address: &'static str| {
        let mut headers = reqwest::header::HeaderMap::new();
        for (name, value) in
            [("X-Remote-User", "alice"), ("X-Sealwright-Proxy", &test.world.secret), ("X-Forwarded-For", address)]
        {
            headers.insert(name, value.parse().expect("a header"));
        }
        let client = reqwest::Client::builder().tls_certs_only([]).default_headers(headers);
        Browser::with(&format!("http://{}", test.world.pages), client).expect("a browser")
    };
    for address in ["192.0.2.7", "198.51.100.1, 2001:db8::7", "nobody\"<b>", "unknown"] {
        let mut browser = as_seen_from(address);
        let csrf = journey::pick_role(&mut browser, "user").await.expect("a role");
        let mut begun = journey::begin_as(&test.world, browser, csrf.clone()).await.expect("begun");
        journey::offer(&mut begun).await.expect("a code");
        let view = journey::view(&mut begun).await.expect("a view");
        let view: serde_json::Value = serde_json::from_str(&view).expect("JSON");
        let fields = [("csrf", csrf.as_str()), ("step", &view["step"].to_string()), ("action", "cancel")];
        begun.browser.post(&format!("{}/act", begun.path), &fields).await.expect("cancelled");
        assert_eq!(ended(&mut begun).await["status"], "cancelled");
    }
    let expected = ["192.0.2.7", "2001:db8::7", "127.0.0.1", "127.0.0.1"];
    for event in ["role-granted", "workflow-started", "workflow-acted"] {
        let rows = test.audited(event).await.into_iter().rev().filter(|row| row.actor.as_deref() == Some("alice"));
        let addresses: Vec<String> = rows.filter_map(|row| row.address).collect();
        assert_eq!(addresses, expected, "{event}");
    }
    // A program on the proxy's machine does not know the secret.
    let request = reqwest::Client::new().get(format!("http://{}/role", test.world.pages));
    let request = request.header("X-Sealwright-Proxy", "wrong").header("X-Remote-User", "alice");
    assert_eq!(request.header("X-Forwarded-For", "192.0.2.7").send().await.expect("an answer").status(), 403);
    assert_eq!(test.audited("sign-in-refused").await[0].address.as_deref(), Some("127.0.0.1"));
    // Another machine is no proxy.
    let elsewhere = reqwest::Client::builder().local_address(std::net::IpAddr::from([127, 0, 0, 2]));
    let request = elsewhere.build().expect("a client").get(format!("http://{}/role", test.world.pages));
    assert_eq!(request.header("X-Forwarded-For", "192.0.2.7").send().await.expect("an answer").status(), 403);
    let refused = test.audited("sign-in-refused").await;
    assert_eq!(refused.first().and_then(|row| row.address.as_deref()), Some("127.0.0.2"));
}

async fn identity_headers_are_refused_where_nobody_signs_in(database: Database) {
    let test = TestWorld::start(database).await;
    let client = reqwest::Client::new();
    let agents = format!("{}/agent/v1", test.world.agent_url);
    for (name, value) in [("X-Remote-User", "alice"), ("Origin", "https://evil.example")] {
        let answer = client.get(&agents).header(name, value).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 403, "{name}");
    }
    let refused = test.audited("agent-refused").await;
    assert_eq!(refused[0].detail, Some(serde_json::json!({ "why": "browser" })));
    assert_eq!(refused[0].address.as_deref(), Some("127.0.0.1"));
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
    let is_nothing = |answer: anyhow::Result<String>| answer.is_err_and(|error| error.to_string().contains(": 404"));
    assert!(is_nothing(bob.browser.get(&alice.path).await));
    assert!(is_nothing(bob.browser.get(&format!("/api/v1/instances/{}", alice.instance)).await));
    let (csrf, pairing) = (bob.csrf.clone(), alice.instance.clone());
    for action in ["code", "confirm", "act"] {
        let fields = [("csrf", csrf.as_str()), ("action", "cancel"), ("step", "1"), ("pairing", pairing.as_str())];
        assert!(is_nothing(bob.browser.post(&format!("{}/{action}", alice.path), &fields).await), "{action}");
    }
    // A second start shows the first.
    let csrf = alice.csrf.clone();
    let again = alice.browser.post("/start/personalize", &[("csrf", &csrf)]).await.expect("shown");
    assert_eq!(again, alice.path);
    // A workflow that only another one starts cannot be started from outside.
    let refused = alice.browser.post("/start/certify-slot", &[("csrf", &csrf)]).await.expect_err("started").to_string();
    assert!(refused.contains(": 403"), "{refused}");
}

async fn a_person_whose_entry_is_incomplete_is_told_so(database: Database) {
    let test = TestWorld::start(database).await;
    let mut ida = journey::begin(&test.world, "ida").await.expect("begun");
    let patience = Duration::from_secs(30);
    let pause = Duration::from_millis(50);
    let is_told = |page: &str| page.contains("is missing information that a certificate needs");
    let page = ida.browser.until(&ida.path, patience, pause, is_told).await;
    assert!(page.is_ok(), "{page:?}");
}

/// The cookie that a page gives somebody who comes with this one, if it gives another.
async fn given(test: &TestWorld, login: &str, cookie: Option<&str>) -> Option<String> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let mut request = client.get(format!("http://{}/role", test.world.pages)).header("X-Remote-User", login);
    request = request.header("X-Sealwright-Proxy", &test.world.secret);
    if let Some(cookie) = cookie {
        request = request.header("Cookie", format!("__Host-sealwright={cookie}"));
    }
    let answer = request.send().await.expect("an answer");
    // Whoever has one role is led on with it.
    assert!([200, 303].contains(&answer.status().as_u16()), "{}", answer.status());
    let set = answer.headers().get("set-cookie")?.to_str().expect("text").to_owned();
    set.strip_prefix("__Host-sealwright=").and_then(|rest| rest.split(';').next()).map(str::to_owned)
}

async fn a_cookie_is_good_for_whom_it_was_given_to(database: Database) {
    let mut test = TestWorld::start(database).await;
    let cookie = given(&test, "rita", None).await.expect("a cookie");
    assert_eq!(given(&test, "rita", Some(&cookie)).await, None);
    // Nothing is written down for somebody who only looks, and has more roles than one.
    assert!(test.audited("session-began").await.is_empty());
    let (body, signature) = cookie.rsplit_once('.').expect("a signature");
    let (random, time) = body.rsplit_once('.').expect("a time");
    let later_time = time.parse::<i64>().expect("a number") + 1;
    let other = if random.starts_with('A') { 'B' } else { 'A' };
    let changed = [
        format!("{random}.{later_time}.{signature}"),
        format!("{other}{}.{time}.{signature}", &random[1..]),
        format!("{body}."),
        body.to_owned(),
        "A".repeat(43),
        "..".to_owned(),
    ];
    for cookie in changed {
        assert!(given(&test, "rita", Some(&cookie)).await.is_some(), "{cookie}");
    }
    assert!(given(&test, "bob", Some(&cookie)).await.is_some());
    // With a role it is a session; whoever comes with it as somebody else ends it.
    let (mut alice, _) = journey::sign_in(&test.world, "alice", "user").await.expect("signed in");
    assert_eq!(test.audited("session-began").await.len(), 1);
    let cookie = alice.cookie();
    let value = cookie.split("__Host-sealwright=").nth(1).and_then(|rest| rest.split(';').next()).expect("a cookie");
    assert!(given(&test, "bob", Some(value)).await.is_some());
    assert_eq!(test.audited("session-ended").await.len(), 1);
    let refused = alice.get("/").await.expect_err("no role any more").to_string();
    assert!(refused.contains("303"), "{refused}");
    // An hour later it is a cookie of nobody.
    let cookie = given(&test, "alice", None).await.expect("a cookie");
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&later("+61m")).await.expect("restarted");
    assert!(given(&test, "alice", Some(&cookie)).await.is_some());
}

/// Else nobody would have to sign in anew, and no role be asked for again, for as long as the clock was wrong.
async fn a_session_of_a_clock_that_was_ahead_is_over(database: Database) {
    let mut test = TestWorld::start(database).await;
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&later("+1d")).await.expect("restarted");
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&[]).await.expect("restarted");
    let answer = carl.request(reqwest::Method::GET, "/").send().await.expect("an answer");
    assert_eq!(answer.status(), 303);
}

/// A proxy keeps its connections: what one request on them proved is nothing that the next one has.
async fn a_connection_that_is_kept_signs_nobody_in(database: Database) {
    let test = TestWorld::start(database).await;
    let client = reqwest::Client::builder().pool_max_idle_per_host(1).build().expect("a client");
    let url = format!("http://{}/role", test.world.pages);
    let good = async || {
        let request =
            client.get(&url).header("X-Remote-User", "alice").header("X-Sealwright-Proxy", &test.world.secret);
        request.send().await.expect("an answer")
    };
    for _ in 0..3 {
        let answer = good().await;
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
        let cookie = cookie.split(';').next().expect("a pair").to_owned();
        drop(answer.text().await.expect("a body"));
        for request in [client.get(&url), client.get(&url).header("Cookie", &cookie)] {
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), 403);
            drop(answer.text().await.expect("a body"));
        }
    }
}

/// A connection that rests is not ended by the portal before its proxy ends it: a request that was just on its way would be lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_resting_connection_is_the_proxys_to_end() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut stream = tokio::net::TcpStream::connect(test.world.pages).await.expect("a connection");
    let request = format!(
        "GET /role HTTP/1.1\r\nHost: x\r\nX-Remote-User: alice\r\nX-Sealwright-Proxy: {}\r\n\r\n",
        test.world.secret
    );
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains("</html>") {
            assert_ne!(stream.read_buf(&mut said).await.expect("an answer"), 0, "the connection was ended");
        }
        // Servers end what has rested for five seconds, unless they are told otherwise.
        let more = tokio::time::timeout(Duration::from_secs(6), stream.read_u8()).await;
        assert!(more.is_err(), "the portal said something, or has ended the connection");
    }
}

async fn every_answer_says_how_a_browser_is_to_treat_it(database: Database) {
    let test = TestWorld::start(database).await;
    let client = reqwest::Client::new();
    let mut cookies = 0;
    for (path, status) in [("/role", 200), ("/nowhere", 404), ("/api/v1/session", 200), ("/api/v1/instances/x", 404)] {
        let request = client.get(format!("http://{}{path}", test.world.pages));
        let request = request.header("X-Remote-User", "alice").header("X-Sealwright-Proxy", &test.world.secret);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        let policy = header("content-security-policy").expect("a policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{path}");
        assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"), "{path}");
        if let Some(cookie) = header("set-cookie") {
            for part in ["__Host-sealwright=", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
                assert!(cookie.contains(part), "{path}: {cookie}");
            }
            cookies += 1;
        }
    }
    assert!(cookies > 0, "nobody was given a cookie");
}

async fn a_name_that_a_request_gives_the_portal_is_in_no_answer(database: Database) {
    let test = TestWorld::start(database).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    for path in ["/", "/role", "/role?to=//evil.example/x", "/role?to=https://evil.example", "/token", "/nowhere"] {
        let request = client.get(format!("http://{}{path}", test.world.pages)).header("Host", "evil.example");
        let request = request.header("X-Forwarded-Host", "evil.example").header("Forwarded", "host=evil.example");
        let request = request.header("X-Remote-User", "alice").header("X-Sealwright-Proxy", &test.world.secret);
        let answer = request.send().await.expect("an answer");
        let location = answer.headers().get("location").map(|to| to.to_str().expect("text").to_owned());
        assert!(location.as_ref().is_none_or(|to| to.starts_with('/') && !to.contains("evil")), "{path}: {location:?}");
        let body = answer.text().await.expect("a body");
        assert!(!body.contains("evil.example"), "{path}: {body}");
    }
}

async fn what_is_no_address_of_a_page_is_answered_in_words(database: Database) {
    let test = TestWorld::start(database).await;
    let signed_in = [("X-Remote-User", "alice"), ("X-Sealwright-Proxy", test.world.secret.as_str())];
    for path in ["/instances/x", "/instances/%0d%0ax:%20y", "/role?to=/&to=/", "/certificates?wanted=a&wanted=b"] {
        let (status, body) = status(&test, path, &signed_in).await;
        assert_eq!(status, 404, "{path}: {body}");
        assert!(body.contains("<h1>Not found</h1>") && body.contains("Request number"), "{path}: {body}");
    }
}
