//! The web server in front, as the examples of `deploy/` configure it, and the proofs by which the portal knows it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use sealwright::clock::{Clock, SystemClock};
use sealwright_world::browser::Browser;
use sealwright_world::journey;

use crate::api_programs::account;
use crate::on_either_database;
use crate::support::proxy::{Authority, Kind, Proof, Proxy};
use crate::support::{Database, TestWorld, ended};

on_either_database! {
    a_card_is_personalized_behind_apache,
    a_card_is_personalized_behind_nginx,
}

async fn a_card_is_personalized_behind_apache(database: Database) {
    let mut test = TestWorld::start(database).await;
    let proxy = Proxy::start(Kind::Apache, &test, Proof::Secret).await;
    three_surfaces(&mut test, &proxy).await;
}

async fn a_card_is_personalized_behind_nginx(database: Database) {
    let mut test = TestWorld::start(database).await;
    let proxy = Proxy::start(Kind::Nginx, &test, Proof::Secret).await;
    three_surfaces(&mut test, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apache_shows_its_certificate() {
    by_mutual_tls(Kind::Apache).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_shows_its_certificate() {
    by_mutual_tls(Kind::Nginx).await;
}

async fn by_mutual_tls(kind: Kind) {
    let certificates = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(certificates.path());
    let names = ["localhost", "portal.example.org"];
    authority.certify(certificates.path(), "portal", &names, ExtendedKeyUsagePurpose::ServerAuth);
    authority.certify(certificates.path(), "proxy", &["proxy.example.org"], ExtendedKeyUsagePurpose::ClientAuth);
    let mut test = TestWorld::start_with_proof(Database::Sqlite, mutual_tls(certificates.path())).await;
    let proxy = Proxy::start(kind, &test, Proof::MutualTls(certificates.path())).await;
    three_surfaces(&mut test, &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_signs_an_assertion() {
    let folder = tempfile::tempdir().expect("a folder");
    let (pair, proof) = assertion(folder.path());
    let key = data_encoding::BASE64.encode(pair.serialized_der());
    let signer = serde_json::json!({ "issuer": "proxy", "audience": "sealwright", "kid": "one", "key": key });
    let mut test = TestWorld::start_with_proof(Database::Sqlite, proof).await;
    let proxy = Proxy::start(Kind::Nginx, &test, Proof::Assertion(&signer.to_string())).await;
    // What signs is nobody's page.
    let asked = proxy.client(Some("alice")).build().expect("a client").get(format!("{}/assertion", proxy.pages_url));
    assert_eq!(asked.send().await.expect("an answer").status(), 404);
    three_surfaces(&mut test, &proxy).await;
}

/// The section of a portal that believes what this new key has signed; its public half is in the folder.
fn assertion(folder: &Path) -> (rcgen::KeyPair, String) {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let point = pair.public_key_raw();
    let coordinate = |from: usize| data_encoding::BASE64URL_NOPAD.encode(&point[from..from + 32]);
    let key = serde_json::json!({ "kty": "EC", "crv": "P-256", "kid": "one", "x": coordinate(1), "y": coordinate(33) });
    std::fs::write(folder.join("keys.json"), serde_json::json!({ "keys": [key] }).to_string()).expect("written");
    let section = format!(
        "[sign-in.proof]\nby = \"assertion\"\nkeys-file = \"{}/keys.json\"\nissuer = \"proxy\"\naudience = \"sealwright\"",
        folder.display()
    );
    (pair, section)
}

/// The section of a portal that knows its proxy by certificate.
fn mutual_tls(folder: &Path) -> String {
    let here = folder.display();
    format!(
        "[sign-in.proof]\nby = \"mutual-tls\"\ncertificate-file = \"{here}/portal.pem\"\nkey-file = \"{here}/portal.key\"\n\
         authorities-file = \"{here}/ca.pem\"\nproxy-name = \"proxy.example.org\""
    )
}

async fn three_surfaces(test: &mut TestWorld, proxy: &Proxy) {
    the_sign_in_cannot_be_forged(test, proxy).await;
    surfaces_are_apart(test, proxy).await;
    programs_are_known_by_their_token(test, proxy).await;
    the_audit_has_the_address_that_the_proxy_has_seen(test, proxy).await;
    // The journey: pages through the sign-on, the agent's WebSocket through TLS without it.
    test.agents_connect_to(&proxy.agents_url, &format!("ca-file = \"{}\"\n", proxy.ca_file.display()));
    let mut browser = proxy.browser("alice");
    let csrf = journey::pick_role(&mut browser, "user").await.expect("a role");
    let mut begun = journey::begin_as(&test.world, browser, csrf).await.expect("begun");
    let code = journey::offer(&mut begun).await.expect("a code");
    let end = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(end.success(), "{}", end.said);
    assert_eq!(ended(&mut begun).await["status"], "success");
    // What she and her agent have done is in the audit with the address that it came from.
    for event in ["workflow-started", "code-offered", "agent-paired", "key-made", "certificate-installed", "key-proved"]
    {
        let mut rows = test.audited(event).await;
        rows.retain(|row| row.actor.as_deref() == Some("alice"));
        assert!(
            !rows.is_empty() && rows.iter().all(|row| row.address.as_deref() == Some("127.0.0.1")),
            "{event}: {rows:?}"
        );
    }
    progress_is_not_held_back(proxy, &begun.path).await;
}

/// Whatever a browser sends, it is nobody but whom the sign-on has found, or refused.
async fn the_sign_in_cannot_be_forged(test: &TestWorld, proxy: &Proxy) {
    let page = format!("{}/role", proxy.pages_url);
    let nobody = proxy.client(None).build().expect("a client");
    let forged = nobody.get(&page).header("X-Remote-User", "carl").header("X-Sealwright-Proxy", &test.world.secret);
    assert_eq!(forged.send().await.expect("an answer").status(), 401);
    let alice = proxy.client(Some("alice")).build().expect("a client");
    for (name, value) in [
        ("X-Remote-User", "carl"),
        ("X-REMOTE-USER", "carl"),
        ("X_Remote_User", "carl"),
        ("X.Remote.User", "carl"),
        ("X-Sealwright-Proxy", "wrong"),
        ("X_Sealwright_Proxy", "wrong"),
        ("Connection", "close, X-Remote-User"),
        ("Connection", "close, X-Sealwright-Proxy"),
    ] {
        let answer = alice.get(&page).header(name, value).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.text().await.expect("a body");
        assert!(!body.contains("carl"), "{name}: {value} made somebody else: {body}");
        assert!(
            (status == 200 && body.contains("alice")) || status == 403 || status == 400,
            "{name}: {status}\n{body}"
        );
    }
    // The password of the sign-on does not reach the portal's log, nor does the proxy's secret.
    assert!(!test.log().contains(&test.world.secret));
}

async fn surfaces_are_apart(test: &TestWorld, proxy: &Proxy) {
    let nobody = proxy.client(None).redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let get = async |url: String, headers: &[(&str, &str)]| {
        let mut request = nobody.get(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer").status().as_u16()
    };
    // Anonymous, over plain http, without redirect; and nothing else is there.
    assert_eq!(get(format!("{}/pki/ca/issuing.cer", proxy.public_url), &[]).await, 200);
    assert_eq!(get(format!("{}/pki/crl/issuing.crl", proxy.public_url), &[]).await, 200);
    assert_eq!(get(format!("{}/api/v1/openapi.json", proxy.public_url), &[]).await, 404);
    assert_eq!(get(format!("{}/role", proxy.public_url), &[]).await, 404);
    assert_eq!(get(format!("{}/role", proxy.agents_url), &[]).await, 404);
    let before = test.audited("sign-in-refused").await.len();
    let identity = [("X-Remote-User", "alice"), ("X-Sealwright-Proxy", test.world.secret.as_str())];
    assert_eq!(get(format!("{}/pki/ca/issuing.cer", proxy.public_url), &identity).await, 403);
    assert_eq!(get(format!("{}/agent/v1", proxy.agents_url), &identity).await, 403);
    assert_eq!(test.audited("sign-in-refused").await.len(), before + 2);
}

/// At the agents' name by a service account's token; at the pages' name that is no sign-in.
async fn programs_are_known_by_their_token(test: &TestWorld, proxy: &Proxy) {
    let token = account(test, &["add", "behind", "--role", "ra-operator"]);
    let nobody = proxy.client(None).build().expect("a client");
    let list = async |base: &str, token: Option<&str>| {
        let mut request = nobody.get(format!("{base}/api/v1/certificates"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    };
    let (status, body) = list(&proxy.agents_url, Some(&token)).await;
    assert!(status == 200 && body.contains("\"certificates\""), "{status}: {body}");
    assert_eq!(list(&proxy.agents_url, None).await.0, 401);
    assert_eq!(list(&proxy.agents_url, Some("wrong")).await.0, 401);
    assert_eq!(list(&proxy.pages_url, Some(&token)).await.0, 401);
    // What it sends arrives, and is looked at with the rights of its role.
    let start = nobody.post(format!("{}/api/v1/instances", proxy.agents_url)).bearer_auth(&token);
    let start = start.header("content-type", "application/json").body("{\"workflow\":\"issue-crl\"}");
    assert_eq!(start.send().await.expect("an answer").status(), 403);
}

/// Whatever a browser says of its address.
async fn the_audit_has_the_address_that_the_proxy_has_seen(test: &TestWorld, proxy: &Proxy) {
    let from = |person| proxy.client(person).local_address(std::net::IpAddr::from([127, 0, 0, 7]));
    let get = async |client: reqwest::ClientBuilder, url: String| {
        let request = client.build().expect("a client").get(url).header("X-Forwarded-For", "203.0.113.9, 203.0.113.8");
        request.send().await.expect("an answer").status().as_u16()
    };
    let mut browser = Browser::with(&proxy.pages_url, from(Some("bob"))).expect("a browser");
    journey::pick_role(&mut browser, "user").await.expect("a role");
    assert_eq!(get(from(Some("bob")), format!("{}/role", proxy.pages_url)).await, 200);
    assert_eq!(get(from(None), format!("{}/api/v1/certificates", proxy.agents_url)).await, 401);
    let browser = from(None).build().expect("a client").get(format!("{}/agent/v1", proxy.agents_url));
    let browser = browser.header("Origin", "https://evil.example").header("Connection", "close, X-Forwarded-For");
    assert_eq!(browser.send().await.expect("an answer").status(), 403);
    let addresses = async |event: &str, login: Option<&str>| {
        let rows = test.audited(event).await.into_iter().filter(|row| row.actor.as_deref() == login);
        rows.filter_map(|row| row.address).collect::<Vec<String>>()
    };
    assert_eq!(addresses("role-granted", Some("bob")).await, ["127.0.0.7"]);
    assert_eq!(addresses("sign-in-refused", None).await.first().map(String::as_str), Some("127.0.0.7"));
    assert_eq!(addresses("agent-refused", None).await.first().map(String::as_str), Some("127.0.0.7"));
    let posing = from(None).build().expect("a client").get(format!("{}/pki/ca/issuing.cer", proxy.public_url));
    assert_eq!(posing.header("X-Remote-User", "alice").send().await.expect("an answer").status(), 403);
    assert_eq!(addresses("sign-in-refused", None).await.first().map(String::as_str), Some("127.0.0.7"));
}

/// The first event of a page's stream comes at once, though the stream goes on.
async fn progress_is_not_held_back(proxy: &Proxy, path: &str) {
    use futures_util::StreamExt;
    let mut browser = proxy.browser("alice");
    journey::pick_role(&mut browser, "user").await.expect("a role");
    let client = proxy.client(Some("alice")).build().expect("a client");
    let request = client.get(format!("{}{path}/events", proxy.pages_url)).header("cookie", browser.cookie());
    let mut events = request.send().await.expect("an answer").bytes_stream();
    let first = tokio::time::timeout(Duration::from_secs(20), events.next()).await.expect("held back");
    assert!(first.expect("an event").expect("bytes").starts_with(b"event: change"));
}

/// A client with a certificate of its own.
fn client_with(folder: &Path, portal: SocketAddr, name: Option<&str>) -> reqwest::Client {
    let read = |file: &str| std::fs::read(folder.join(file)).expect("a file");
    let ca = reqwest::Certificate::from_pem(&read("ca.pem")).expect("a certificate");
    let mut builder = reqwest::Client::builder()
        .tls_certs_only([ca])
        .resolve("portal.example.org", portal)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(name) = name {
        let identity = [read(&format!("{name}.pem")), read(&format!("{name}.key"))].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&identity).expect("an identity"));
    }
    builder.build().expect("a client")
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_tls_lets_nobody_in_but_the_proxy() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path());
    authority.certify(folder.path(), "portal", &["portal.example.org"], ExtendedKeyUsagePurpose::ServerAuth);
    authority.certify(folder.path(), "proxy", &["proxy.example.org"], ExtendedKeyUsagePurpose::ClientAuth);
    authority.certify(folder.path(), "other", &["other.example.org"], ExtendedKeyUsagePurpose::ClientAuth);
    let test = TestWorld::start_with_proof(Database::Sqlite, mutual_tls(folder.path())).await;
    let url = format!("https://portal.example.org:{}/role", test.world.pages.port());
    let get = async |name: Option<&str>| {
        let answer =
            client_with(folder.path(), test.world.pages, name).get(&url).header("X-Remote-User", "alice").send().await;
        answer.map(|answer| answer.status().as_u16()).ok()
    };
    assert_eq!(get(Some("proxy")).await, Some(200));
    // The handshake ends: another certificate of the same authority, none, no TLS.
    assert_eq!(get(Some("other")).await, None);
    assert_eq!(get(None).await, None);
    let plain = reqwest::get(format!("http://{}/role", test.world.pages)).await;
    assert!(plain.is_err_and(|error| !error.is_builder()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_signs_in_whom_it_names() {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    let folder = tempfile::tempdir().expect("a folder");
    let (pair, proof) = assertion(folder.path());
    let test = TestWorld::start_with_proof(Database::Sqlite, proof).await;
    let now = SystemClock.now_ms() / 1000;
    let mut head = Header::new(Algorithm::ES256);
    head.kid = Some("one".to_owned());
    let sign = |audience: &str, until: i64| {
        let claims = serde_json::json!({ "iss": "proxy", "aud": audience, "sub": "alice", "exp": until });
        encode(&head, &claims, &EncodingKey::from_ec_der(pair.serialized_der())).expect("a token")
    };
    let get = async |token: &str| {
        let request = reqwest::Client::new().get(format!("http://{}/role", test.world.pages));
        let answer = request.header("X-Remote-User", token).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    };
    let (status, page) = get(&sign("sealwright", now + 60)).await;
    assert!(status == 200 && page.contains("alice"), "{page}");
    for token in [sign("another", now + 60), sign("sealwright", now - 60), "alice".to_owned()] {
        assert_eq!(get(&token).await.0, 403, "{token}");
    }
    // Neither log nor audit holds a token that somebody could use.
    let refused = test.audited("sign-in-refused").await;
    assert_eq!(refused.len(), 3);
    assert!(!test.log().contains("eyJ"));
}
