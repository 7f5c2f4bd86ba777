//! Requests that are not what they should be, and other things that an agent might send: changed on the wire, behind a real agent's back.

use sealwright::commands::demo::journey;
use sealwright_protocol::{Bytes, FromAgent, KeyRequest, Report};

use super::{assert_nothing_issued, assert_personalized};
use crate::on_both_databases;
use crate::support::wire::Wire;
use crate::support::{Database, TestWorld, new_code, run};

on_both_databases! {
    a_request_with_a_bad_signature_is_refused,
    a_request_with_a_weak_key_is_refused,
    a_request_with_another_kind_of_key_is_refused,
    garbage_instead_of_a_request_is_refused,
    a_request_with_something_behind_it_is_refused,
    an_oversized_message_ends_the_conversation_and_nothing_else,
    what_is_no_message_of_the_protocol_ends_the_conversation,
}

/// Replaces every request that the agent sends; nothing may be issued, and the person is told.
async fn refused(database: Database, replace: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) {
    let mut test = TestWorld::start(database).await;
    let wire = Wire::start(&test.world.agent_url, move |message| {
        if let FromAgent::Report { report: Report::Made { request: KeyRequest::Signature { csr }, .. }, .. } = message {
            *csr = Bytes(replace(std::mem::take(&mut csr.0)));
        }
    })
    .await;
    wire.stands_between(&mut test);
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let ended = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(!ended.success());
    assert_nothing_issued(&mut begun, "failure").await;
    let page = begun.browser.get(&begun.path).await.expect("the page");
    assert!(page.contains("the certificate could not be made. Start again;"), "{page}");
    assert_eq!(test.audited("request-refused").await.len(), 2);
}

/// A request that openssl makes.
fn made(key: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (key_file, request) = (file("key.pem"), file("request.der"));
    let arguments = [&["req", "-new", "-newkey"], key, &["-nodes", "-subj", "/CN=x", "-outform", "DER"]].concat();
    run("openssl", &[arguments.as_slice(), &["-keyout", &key_file, "-out", &request]].concat(), &[]);
    std::fs::read(request).expect("a request")
}

async fn a_request_with_a_bad_signature_is_refused(database: Database) {
    refused(database, |mut csr| {
        *csr.last_mut().expect("bytes") ^= 1;
        csr
    })
    .await;
}

async fn a_request_with_a_weak_key_is_refused(database: Database) {
    refused(database, |_| made(&["rsa:1024"])).await;
}

async fn a_request_with_another_kind_of_key_is_refused(database: Database) {
    refused(database, |_| made(&["ec", "-pkeyopt", "ec_paramgen_curve:P-384"])).await;
}

async fn garbage_instead_of_a_request_is_refused(database: Database) {
    refused(database, |csr| csr.iter().rev().copied().collect()).await;
}

async fn a_request_with_something_behind_it_is_refused(database: Database) {
    refused(database, |mut csr| {
        csr.extend_from_slice(&[0; 20_000]);
        csr
    })
    .await;
}

async fn an_oversized_message_ends_the_conversation_and_nothing_else(database: Database) {
    let mut test = TestWorld::start(database).await;
    let own = test.world.agent_url.clone();
    let wire = Wire::start(&own, |message| {
        if let FromAgent::Report { report: Report::Made { request: KeyRequest::Signature { csr }, .. }, .. } = message {
            csr.0.resize(1 << 20, 0);
        }
    })
    .await;
    wire.stands_between(&mut test);
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "lost").await.expect("said");
    drop(agent);
    // The same card and a wire that changes nothing: it goes on.
    test.world.agent_url = own;
    let code = new_code(&mut begun).await.expect("a new code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_personalized(&test, &mut begun).await;
}

async fn what_is_no_message_of_the_protocol_ends_the_conversation(database: Database) {
    let test = TestWorld::start(database).await;
    for text in [
        "",
        "{}",
        "null",
        "{\"type\":\"hello\"}",
        "{\"type\":\"confirm\"}",
        "[[[[",
        "\u{0}",
        "{\"type\":\"resume\",\"pairing\":\"x\"}",
    ] {
        let said = Wire::say(&test.world.agent_url, text).await;
        assert!(said.is_some_and(|said| said.contains("does not understand this agent")), "{text:?}");
    }
    // Nobody was harmed.
    test.alice().await;
}
