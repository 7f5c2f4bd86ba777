//! The demo world's own parts: its directory, its first page, and the request that it leaves open.

use reqwest::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use sealwright_world::journey;
use sealwright_world::open_request::OpenRequest;
use serde_json::json;

use crate::journey::approval::{take, task};
use crate::operations::{certificates_of, revoke};
use crate::support::client::Client;
use crate::support::{Database, TestWorld, ended};

/// The first page, as a browser gets it that is nobody yet.
async fn first_page(test: &TestWorld) -> String {
    let page = reqwest::get(format!("http://{}/demo", test.world.proxy)).await.expect("an answer");
    assert_eq!(page.status(), 200);
    assert!(page.headers()[CONTENT_SECURITY_POLICY].to_str().expect("text").starts_with("default-src 'none';"));
    page.text().await.expect("a page")
}

/// The demo's directory deletes values as slapd does: a revoked certificate is found there no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_unpublishes_in_the_demos_directory() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    ended(&mut begun).await;
    let directory = test.world.directory.as_ref().expect("the embedded directory");
    let published = || directory.values("uid=alice,ou=people,dc=demo,dc=test", "userCertificate;binary").len();
    assert_eq!(published(), 2);

    let alice = Client::sign_in(&test, "alice", "user").await;
    revoke(&alice, &certificates_of(&alice).await[0]).await;
    assert_eq!(published(), 1);
}

/// A deep link leads to the first page and, once somebody is picked, on to its target.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_leads_on() {
    let test = TestWorld::start(Database::Sqlite).await;
    let base = format!("http://{}", test.world.proxy);
    let client = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
    let location = |answer: &reqwest::Response| answer.headers()[LOCATION].to_str().expect("text").to_owned();

    let asked = client.get(format!("{base}/token")).send().await.expect("an answer");
    assert_eq!((asked.status().as_u16(), location(&asked)), (303, "/demo?to=/token".to_owned()));
    let style = client.get(format!("{base}/static/sealwright.css")).send().await.expect("an answer");
    assert_eq!(style.status(), 200);
    for (form, expected) in [
        ("person=bob", "/"),
        ("person=bob&to=%2Ftoken", "/token"),
        ("person=carl&to=%2Frole%3Fto%3D%2Fcertificates", "/role?to=/certificates"),
        ("person=bob&to=https%3A%2F%2Felsewhere.test%2F", "/"),
    ] {
        let picked = client.post(format!("{base}/demo")).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let picked = picked.body(form).send().await.expect("an answer");
        assert_eq!((picked.status().as_u16(), location(&picked).as_str()), (303, expected), "{form}");
    }

    let page = first_page(&test).await;
    assert!(page.contains("Carl O&#39;Neill") && page.contains("User, CA Operator, Auditor"), "{page}");
    assert!(page.contains("No request waits now"), "{page}");
}

/// Dora's request waits for an RA operator's decision; after an approval her card is ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_left_open_and_ends_with_its_approval() {
    let mut test = TestWorld::start(Database::Sqlite).await;
    test.world.remove(0).await.expect("removed");
    let open_request = OpenRequest::begin(&mut test.world).await.expect("a request");
    assert!(first_page(&test).await.contains("<strong>Dora Dubois</strong>"));

    let rita = Client::sign_in(&test, "rita", "ra-operator").await;
    let question = task(&rita).await;
    assert_eq!(question["data"]["person"]["employee_number"], "1008");
    let dora = Client::sign_in(&test, "dora", "user").await;
    assert_eq!(certificates_of(&dora).await.len(), 0);

    assert_eq!(take(&rita, &question, "approve", json!({})).await.0, 200);
    open_request.follow(&mut test.world).await.expect("followed");
    assert_eq!(certificates_of(&dora).await.len(), 2);
    assert!(first_page(&test).await.contains("No request waits now"));
    // The policy that asked for it is gone: bob needs no approval.
    let mut begun = journey::begin(&test.world, "bob").await.expect("begun");
    let code = journey::offer(&mut begun).await.expect("a code");
    let reader = test.world.readers[1].clone();
    let mut agent = journey::Agent::start(&test.world, &code, &reader, Some(&test.pin_file), &[]).expect("an agent");
    assert!(agent.converse(&mut begun).await.expect("a conversation").success());
    assert_eq!(ended(&mut begun).await["status"], "success");
}
