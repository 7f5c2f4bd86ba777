//! Requests that are not what they should be, and other things that an agent might send: changed on the wire, behind a real agent's back.

use std::sync::{Arc, Mutex};

use sealwright_protocol::{Bytes, FromAgent, FromPortal, KeyRequest, ManagementKey, RelayRefusal, Report};
use sealwright_world::journey::{self, Agent};
use serde_json::{Value, json};

use super::{assert_nothing_issued, assert_personalized};
use crate::on_either_database;
use crate::operations::{certificates_of, revoke};
use crate::support::client::Client;
use crate::support::wire::Wire;
use crate::support::{Database, TestWorld, go_on, new_code, run, start_again, until_it_stands_still, view};

on_either_database! {
    a_request_with_a_bad_signature_is_refused,
    a_request_with_a_weak_key_is_refused,
    a_request_with_another_kind_of_key_is_refused,
    a_request_with_a_key_that_is_known_to_be_compromised_is_refused,
    a_request_with_the_authoritys_own_key_is_refused,
    a_request_for_somebody_elses_key_is_refused,
    a_request_for_a_key_whose_certificate_was_revoked_is_refused,
    garbage_instead_of_a_request_is_refused,
    a_request_with_something_behind_it_is_refused,
    a_report_and_a_question_for_somebody_elses_job_count_for_nothing,
    an_oversized_message_ends_the_conversation_and_nothing_else,
    what_is_no_message_of_the_protocol_ends_the_conversation,
}

/// Replaces every request that the agent sends; nothing may be issued, and the person is told.
async fn refused(database: Database, replace: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) {
    refused_in(TestWorld::start(database).await, replace).await;
}

/// The same in a world of the test's own; gives what the audit says of each request.
async fn refused_in(
    mut test: TestWorld,
    replace: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
) -> Vec<Option<Value>> {
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
    let told = ["the certificate could not be made. Start again;", "does not meet the rules for this certificate"];
    assert!(told.iter().any(|text| page.contains(text)), "{page}");
    let audited = test.audited("request-refused").await;
    assert_eq!(audited.len(), 2);
    audited.into_iter().map(|row| row.detail).collect()
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

async fn a_request_with_a_key_that_is_known_to_be_compromised_is_refused(database: Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let [key, public_key, request, list] = ["key.pem", "key.der", "request.der", "blocked"].map(file);
    run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &key], &[]);
    run("openssl", &["pkey", "-in", &key, "-pubout", "-outform", "DER", "-out", &public_key], &[]);
    run("openssl", &["req", "-new", "-key", &key, "-subj", "/CN=x", "-outform", "DER", "-out", &request], &[]);
    let digest = run("openssl", &["dgst", "-sha256", "-r", &public_key], &[]);
    let digest = digest.split_whitespace().next().expect("a digest").to_owned();
    std::fs::write(&list, format!("# found in a public repository\n{digest}\n")).expect("written");
    let variables = [("SEALWRIGHT__BLOCKED_KEYS_FILE", list.as_str())];
    let test = TestWorld::start_with(database, &variables, "any-blank = true").await;
    let request = std::fs::read(request).expect("a request");
    let refused = refused_in(test, move |_| request.clone()).await;
    assert!(refused.contains(&Some(json!({ "why": "blocked-key" }))), "{refused:?}");
}

async fn a_request_with_the_authoritys_own_key_is_refused(database: Database) {
    let test = TestWorld::start(database).await;
    let file = |name: &str| test.world.folder.join(name).display().to_string();
    let (key, passphrase) = (file("ca/issuing.key"), format!("file:{}", file("ca/passphrase")));
    let request = test.path("request.der");
    let made = ["req", "-new", "-key", &key, "-passin", &passphrase, "-subj", "/CN=x", "-outform", "DER"];
    run("openssl", &[&made[..], &["-out", request.to_str().expect("a path")]].concat(), &[]);
    let request = std::fs::read(request).expect("a request");
    let refused = refused_in(test, move |_| request.clone()).await;
    assert!(refused.contains(&Some(json!({ "why": "blocked-key" }))), "{refused:?}");
}

/// Somebody on the wire who has read the first two requests: each one that follows is the one before the last, and so of the same kind of key.
async fn replays(test: &mut TestWorld) {
    let requests = Mutex::new(Vec::<Bytes>::new());
    let wire = Wire::start(&test.world.agent_url, move |message| {
        if let FromAgent::Report { report: Report::Made { request: KeyRequest::Signature { csr }, .. }, .. } = message {
            let mut requests = requests.lock().expect("not poisoned");
            if let Some(same) = requests.len().checked_sub(2) {
                csr.clone_from(&requests[same]);
            }
            requests.push(csr.clone());
        }
    })
    .await;
    wire.stands_between(test);
}

/// Two requests were refused for a key that was certified before.
async fn assert_key_reuse(test: &TestWorld) {
    let refused = test.audited("request-refused").await;
    assert_eq!(refused.len(), 2);
    for row in refused {
        assert_eq!(row.detail, Some(json!({ "why": "key-reuse" })));
    }
}

/// Alice's requests, which somebody has read on the wire, come from bob's agent.
async fn a_request_for_somebody_elses_key_is_refused(database: Database) {
    let mut test = TestWorld::start(database).await;
    replays(&mut test).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    let code = journey::offer(&mut bob).await.expect("a code");
    let reader = test.world.readers[1].clone();
    let mut agent = Agent::start(&test.world, &code, &reader, Some(&test.pin_file), &[]).expect("an agent");
    assert!(!agent.converse(&mut bob).await.expect("a conversation").success());
    assert_nothing_issued(&mut bob, "failure").await;
    assert_key_reuse(&test).await;
    assert_personalized(&test, &mut begun).await;
}

/// A key whose certificate was revoked may be known to others: it is not certified again, also not for the same person.
async fn a_request_for_a_key_whose_certificate_was_revoked_is_refused(database: Database) {
    let mut test = TestWorld::start(database).await;
    replays(&mut test).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    let alice = Client::sign_in(&test, "alice", "user").await;
    for certificate in certificates_of(&alice).await {
        revoke(&alice, &certificate).await;
    }
    let code = start_again(&mut begun).await;
    assert!(!test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_nothing_issued(&mut begun, "failure").await;
    assert_key_reuse(&test).await;
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

/// Bob's agent, which is paired and has a job of its own, names alice's job in a report and in a question for her card's key.
async fn a_report_and_a_question_for_somebody_elses_job_count_for_nothing(database: Database) {
    let mut test = TestWorld::start(database).await;
    let alices = Arc::new(Mutex::new(String::new()));
    let job = alices.clone();
    let wire = Wire::start_saying(&test.world.agent_url, move |message| {
        let mut alices = alices.lock().expect("not poisoned");
        match &message {
            // Her agent stands still in the job of her card's last question.
            FromAgent::Relay { job, serial, .. } if serial == "20000001" => alices.clone_from(job),
            FromAgent::Report { report: report @ Report::Made { .. }, .. } => {
                let report = FromAgent::Report { job: alices.clone(), report: report.clone() };
                return vec![report, message];
            }
            FromAgent::Relay { key: ManagementKey::Own, algorithm, witness, .. } => {
                // Another one than bob's, so that his agent does not take the answer for its own.
                let witness = Bytes(witness.0.iter().map(|byte| !byte).collect());
                let (serial, key) = ("20000001".to_owned(), ManagementKey::Own);
                let question = FromAgent::Relay { job: alices.clone(), serial, key, algorithm: *algorithm, witness };
                return vec![question, message];
            }
            _ => {}
        }
        vec![message]
    })
    .await;
    wire.stands_between(&mut test);
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let stopped = [("SEALWRIGHT_FAIL_POINT", "agent.generate.after"), ("SEALWRIGHT_FAIL_POINT_SIGNAL", "STOP")];
    let mut agent = test.agent_with(&code, Some(&test.pin_file), &stopped);
    agent.until(&mut begun, "Making a key on the card").await.expect("a job");
    let process = agent.id().expect("a process");
    until_it_stands_still(process).await;
    let job = job.lock().expect("not poisoned").clone();
    assert!(!job.is_empty());
    let before = view(&mut begun).await;
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    let code = journey::offer(&mut bob).await.expect("a code");
    let reader = test.world.readers[1].clone();
    let mut bobs = Agent::start(&test.world, &code, &reader, Some(&test.pin_file), &[]).expect("an agent");
    assert!(bobs.converse(&mut bob).await.expect("a conversation").success());
    // Each was answered, and nothing of alice's has moved.
    let told = wire.told();
    let refused = |told: &&FromPortal| matches!(told, FromPortal::RelayAnswer { job: of, answer: Err(RelayRefusal::NotExpected), .. } if *of == job);
    assert!(told.iter().filter(refused).count() >= 2, "{told:?}");
    let withdrawn = |told: &&FromPortal| matches!(told, FromPortal::Withdraw { job: of } if *of == job);
    assert_eq!(told.iter().filter(withdrawn).count(), 2, "{told:?}");
    assert_eq!(view(&mut begun).await["step"], before["step"]);
    go_on(process);
    while agent.line().await.expect("a line").is_some() {}
    assert!(agent.end().await.expect("an end").success());
    assert_personalized(&test, &mut begun).await;
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

/// However much is asked for: some of the portal's messages hold a card's secrets, and no library may tell them.
#[tokio::test(flavor = "multi_thread")]
async fn a_cards_secrets_are_in_no_log_of_the_agent() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let everything = [("RUST_LOG".to_owned(), "trace".to_owned())];
    let reader = test.world.readers[0].clone();
    let mut agent = Agent::start(&test.world, &code, &reader, Some(&test.pin_file), &everything).expect("an agent");
    let ended = agent.converse(&mut begun).await.expect("a conversation");
    assert!(ended.success() && !ended.said.contains("factory_puk"), "{}", ended.said);
    assert_personalized(&test, &mut begun).await;
}
