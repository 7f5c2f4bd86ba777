//! Keys in a token, SoftHSM2: the same suite as for keys in files, and what happens when the module or the token fails.

use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sealwright::hsm::{self, HsmError, HsmKey, HsmOptions};
use sealwright_pki::key::KeyAlgorithm;
use sealwright_pki::signer::{SignError, SignatureAlgorithm, Signer, SoftwareKey};
use sealwright_world::journey;
use sealwright_world::ports::free_address;
use serde_json::{Value, json};

use crate::journey::assert_personalized;
use crate::on_either_database;
use crate::operations::{certificates_of, issue_by_another, revoke};
use crate::support::client::Client;
use crate::support::softhsm::{PIN, SoftHsm};
use crate::support::{Database, TestWorld, ended, run, shows, stop};

on_either_database! {
    a_token_signs_and_a_module_that_dies_is_started_again,
    a_key_that_is_away_is_waited_for,
    a_token_that_was_initialized_anew_is_waited_for,
    a_token_that_signs_wrongly_issues_nothing,
    a_wrong_pin_is_tried_once,
    a_key_that_is_away_keeps_no_other_authority_from_its_list,
}

const KINDS: [KeyAlgorithm; 4] = [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa2048, KeyAlgorithm::Rsa3072];

/// What every signer does, wherever its key is.
fn signs(signer: &dyn Signer, kind: KeyAlgorithm) {
    assert_eq!(signer.algorithm(), SignatureAlgorithm::for_key(kind));
    let key = sealwright_pki::key::examine(signer.public_key()).expect("a strong key");
    assert_eq!(key, kind);
    let verified = |message: &[u8], signature: &[u8]| {
        use x509_parser::prelude::FromDer;
        let (_, info) = x509_parser::x509::SubjectPublicKeyInfo::from_der(signer.public_key()).expect("a public key");
        let bits = info.subject_public_key.data.as_ref();
        let algorithm: &dyn aws_lc_rs::signature::VerificationAlgorithm = match signer.algorithm() {
            SignatureAlgorithm::EcdsaSha256 => &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
            SignatureAlgorithm::EcdsaSha384 => &aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1,
            SignatureAlgorithm::RsaSha256 => &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
        };
        aws_lc_rs::signature::UnparsedPublicKey::new(algorithm, bits).verify(message, signature).is_ok()
    };
    for message in [&b""[..], b"a certificate", &[7; 1 << 20]] {
        let signature = signer.sign(message).expect("a signature");
        assert!(verified(message, &signature), "{kind:?}: {} bytes", message.len());
        assert!(!verified(b"another", &signature));
    }
    // Many at once, each its own.
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0_u8..8)
            .map(|number| {
                scope.spawn(move || {
                    for round in 0_u8..8 {
                        let message = [number, round];
                        let signature = signer.sign(&message).expect("a signature");
                        assert!(verified(&message, &signature));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("signed"));
    });
}

#[test]
fn a_key_in_a_file_signs() {
    for kind in KINDS {
        signs(&SoftwareKey::generate(kind).expect("a key"), kind);
    }
}

#[test]
fn a_key_in_a_token_signs() {
    let folder = tempfile::tempdir().expect("a folder");
    let softhsm = SoftHsm::start(folder.path());
    for kind in KINDS {
        let options = softhsm.options(kind.as_str());
        let public_key = hsm::generate(&options, kind).expect("a key");
        // A second one of the same label is refused: nobody could tell them apart.
        assert!(hsm::generate(&options, kind).is_err());
        signs(&HsmKey::new(&options, &public_key).expect("a signer"), kind);
    }
    let objects = softhsm.tool(&["--list-objects", "--type", "privkey"]);
    assert_eq!(
        objects.matches("sensitive, always sensitive, never extractable, local").count(),
        KINDS.len(),
        "{objects}"
    );
}

#[test]
fn a_key_that_could_be_read_out_or_is_another_one_does_not_sign() {
    let folder = tempfile::tempdir().expect("a folder");
    let softhsm = SoftHsm::start(folder.path());
    let public_key = hsm::generate(&softhsm.options("good"), KeyAlgorithm::P256).expect("a key");
    let other = hsm::generate(&softhsm.options("other"), KeyAlgorithm::P256).expect("a key");
    softhsm.tool(&["--keypairgen", "--key-type", "EC:prime256v1", "--label", "open", "--extractable"]);
    let refused = |label: &str, public_key: &[u8]| {
        HsmKey::new(&softhsm.options(label), public_key).expect("a signer").sign(b"message").expect_err("refused")
    };
    assert_eq!(refused("open", &public_key), SignError::Refused);
    // A token that was made anew may get its key back; until then no other one signs.
    assert_eq!(refused("good", &other), SignError::Offline);
    assert_eq!(refused("no such key", &public_key), SignError::Offline);
    // A module that is none, and a token that is not there, may come back.
    let mut options = softhsm.options("good");
    options.module = "/nowhere/module.so".into();
    assert_eq!(HsmKey::new(&options, &public_key).expect("a signer").sign(b"message"), Err(SignError::Offline));
    options = softhsm.options("good");
    options.token = "another".to_owned();
    assert_eq!(HsmKey::new(&options, &public_key).expect("a signer").sign(b"message"), Err(SignError::Offline));
}

/// The runtime's threads come and go: the one that asks first is no reason for the module's process to end.
#[test]
fn a_module_stays_loaded_when_the_thread_that_asked_first_has_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let softhsm = SoftHsm::start(folder.path());
    let public_key = hsm::generate(&softhsm.options("key"), KeyAlgorithm::P256).expect("a key");
    let key = HsmKey::new(&softhsm.options("key"), &public_key).expect("a signer");
    let signs = || std::thread::scope(|scope| scope.spawn(|| key.sign(b"message").is_ok()).join().expect("an end"));
    assert!(signs());
    let workers = softhsm.workers();
    assert!(signs(), "the second signature found no key");
    assert_eq!(softhsm.workers(), workers, "the module was loaded anew");
}

/// A module that ends while it signs in may have spent a try: no more than three, whoever starts it.
#[test]
fn a_pin_that_is_not_answered_is_tried_three_times() {
    let folder = tempfile::tempdir().expect("a folder");
    let softhsm = SoftHsm::start(folder.path());
    let public_key = hsm::generate(&softhsm.options("key"), KeyAlgorithm::P256).expect("a key");
    let here = folder.path().display();
    let script = format!(
        "#!/bin/sh\nread line\necho '{{\"answer\":\"found\",\"stamp\":\"'$(cat {here}/stamp)'\"}}'\nread line && echo tried >> {here}/tries\n"
    );
    let program = folder.path().join("ends");
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    let options = HsmOptions { worker: Some(program), ..softhsm.options("key") };
    let tries = |stamp: &str| {
        std::fs::write(folder.path().join("stamp"), stamp).expect("written");
        for _restart in 0..5 {
            let key = HsmKey::new(&options, &public_key).expect("a signer");
            assert_eq!(key.sign(b"message"), Err(SignError::Offline));
        }
        std::fs::read_to_string(folder.path().join("tries")).expect("a file").lines().count()
    };
    assert_eq!(tries("one"), 3);
    // Somebody has written the file anew.
    assert_eq!(tries("two"), 6);
}

async fn start(database: Database) -> (TestWorld, SoftHsm, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let softhsm = SoftHsm::start(folder.path());
    let test = TestWorld::start_with_token(database.alone(), softhsm.options("issuing")).await;
    (test, softhsm, folder)
}

async fn a_token_signs_and_a_module_that_dies_is_started_again(database: Database) {
    let (test, softhsm, _folder) = start(database).await;
    // The first list is signed: the module is loaded, and in a process of its own.
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let workers = softhsm.workers();
    assert_eq!(workers.len(), 1, "the module is not loaded once");
    // No PIN where others can read it.
    for process in [workers[0], test.world.portal_id()] {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{process}/{file}")).expect("a process");
            assert!(!String::from_utf8_lossy(&text).contains(PIN), "{file} of {process}");
        }
        // Nor in a file of its memory when it dies.
        let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).expect("a process");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    }
    kill(Pid::from_raw(workers[0].cast_signed()), Signal::SIGKILL).expect("killed");
    let end = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(end.success(), "{}", end.said);
    assert_personalized(&test, &mut begun).await;
    // Nor in the log, the database or its journal.
    assert_eq!(test.files_with(PIN), Vec::<PathBuf>::new());
    assert!(!test.world.folder.join("ca/issuing.key").exists());
}

async fn a_key_that_is_away_is_waited_for(database: Database) {
    let (test, softhsm, _folder) = start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    // The module hangs: its process stands still.
    for worker in softhsm.workers() {
        stop(worker).await;
    }
    softhsm.remove();
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "Waiting for the certification authority's key").await.expect("said");
    shows(&mut begun, "Waiting for the certification authority").await;
    // Others go on meanwhile, and so does this one by itself when the token is back.
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    journey::offer(&mut bob).await.expect("a code");
    softhsm.insert();
    while agent.line().await.expect("a line").is_some() {}
    assert!(agent.end().await.expect("an end").success());
    assert_personalized(&test, &mut begun).await;
}

/// An empty token of the same name and PIN stands where the right one was: no other key signs, and nothing is lost.
async fn a_token_that_was_initialized_anew_is_waited_for(database: Database) {
    let (mut test, softhsm, _folder) = start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    softhsm.remove();
    softhsm.initialize();
    // Whoever asks finds a token without the key from the beginning.
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&[]).await.expect("restarted");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "Waiting for the certification authority's key").await.expect("said");
    shows(&mut begun, "Waiting for the certification authority").await;
    softhsm.insert();
    while agent.line().await.expect("a line").is_some() {}
    assert!(agent.end().await.expect("an end").success());
    assert_personalized(&test, &mut begun).await;
}

async fn a_token_that_signs_wrongly_issues_nothing(database: Database) {
    let (mut test, softhsm, _folder) = start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    softhsm.sign_wrongly();
    for worker in softhsm.workers() {
        kill(Pid::from_raw(worker.cast_signed()), Signal::SIGKILL).expect("killed");
    }
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "Making a key on the card").await.expect("a job");
    logged(&test, "a certificate was not signed", 1).await;
    let intended = test.audited("certificate-intended").await.len();
    assert!(intended > 0 && test.audited("certificate-issued").await.is_empty());
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    let stuck = |view: &Value| view["tree"].as_array()?.iter().find(|part| part["status"] == "stuck").cloned();
    let view = carl.until(&format!("/api/v1/instances/{}", begun.instance), |view| stuck(view).is_some()).await;
    let part = stuck(&view).expect("a part");
    // An operator mends the token and lets it try again: the certificate is made anew, and not signed as it was then.
    test.world.kill_portal().await.expect("killed");
    softhsm.sign_rightly();
    test.world.restart_portal(&[]).await.expect("restarted");
    let path = format!("/api/v1/instances/{}/actions/resume", part["id"].as_str().expect("an id"));
    let (status, resumed) = carl.post(&path, &json!({ "step": part["step"] }).to_string()).await;
    assert_eq!(status, 200, "{resumed}");
    while agent.line().await.expect("a line").is_some() {}
    assert!(agent.end().await.expect("an end").success());
    assert_personalized(&test, &mut begun).await;
    let anew = test.audited("certificate-intended").await.len() - intended;
    assert!(anew >= 2 && test.audited("certificate-issued").await.len() == 2, "what was intended then was signed");
}

async fn a_wrong_pin_is_tried_once(database: Database) {
    let (mut test, softhsm, _folder) = start(database).await;
    test.world.kill_portal().await.expect("killed");
    softhsm.put_pin("0000000000");
    test.world.restart_portal(&[]).await.expect("restarted");
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "Waiting for the certification authority's key").await.expect("said");
    // It is asked again whether the key is online; the PIN was tried once.
    logged(&test, "has refused this PIN, and it is not tried again", 3).await;
    assert_eq!(test.log().matches("the token refuses the PIN").count(), 1);
    // A new process knows that, also of a token that does not tell that it counts.
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&[]).await.expect("restarted");
    logged(&test, "has refused this PIN, and it is not tried again", 6).await;
    // One that nobody has told of it spends no try of a token that counts.
    test.world.kill_portal().await.expect("killed");
    std::fs::remove_file(softhsm.refused_pin_file()).expect("removed");
    test.world.restart_portal(&[]).await.expect("restarted");
    logged(&test, "the token counts wrong PINs", 2).await;
    assert_eq!(test.log().matches("the token refuses the PIN").count(), 1);
    // Somebody signs in by hand, but has not mended the file: one try more, and then the right PIN.
    softhsm.tool(&["--list-objects"]);
    logged(&test, "the token refuses the PIN", 2).await;
    softhsm.put_pin(PIN);
    while agent.line().await.expect("a line").is_some() {}
    assert!(agent.end().await.expect("an end").success());
    assert_eq!(ended(&mut begun).await["status"], "success");
    assert_eq!(test.log().matches("the token refuses the PIN").count(), 2);
    assert_eq!(std::fs::read_to_string(softhsm.refused_pin_file()).expect("a file"), "");
}

/// An authority that issues nothing any more has lost its token; the other one's certificates are issued and revoked, and its list is made.
async fn a_key_that_is_away_keeps_no_other_authority_from_its_list(database: Database) {
    let (mut test, softhsm, _folder) = start(database).await;
    test.world.kill_portal().await.expect("killed");
    issue_by_another(&test);
    softhsm.remove();
    test.world.restart_portal(&[]).await.expect("restarted");
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_eq!(ended(&mut begun).await["status"], "success");
    let alice = Client::sign_in(&test, "alice", "user").await;
    revoke(&alice, &certificates_of(&alice).await[0]).await;
    let list = test.path("next.crl");
    let url = format!("{}/pki/crl/next.crl", test.world.public_url);
    let answer = reqwest::get(url).await.expect("an answer");
    std::fs::write(&list, answer.bytes().await.expect("a list")).expect("written");
    let list = list.display().to_string();
    let text = run("openssl", &["crl", "-inform", "DER", "-noout", "-text", "-in", &list], &[]);
    assert_eq!(text.matches("Serial Number:").count(), 1, "{text}");
}

/// Whoever watches is told in time, and that everything else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_hangs_does_not_keep_health_from_answering() {
    let (mut test, softhsm, _folder) = start(Database::Sqlite).await;
    let address = free_address().expect("an address").to_string();
    test.world.kill_portal().await.expect("killed");
    let operations = ("SEALWRIGHT__SERVER__OPERATIONS".to_owned(), address.clone());
    test.world.restart_portal(&[operations]).await.expect("restarted");
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}")).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a body")
    };
    let ready = async || serde_json::from_str::<Value>(&get("/health/ready").await).expect("JSON");
    let mut tries = 0;
    while ready().await["key"] != json!(true) {
        tries += 1;
        assert!(tries < 100, "the key does not sign\n{}", test.log());
    }
    for worker in softhsm.workers() {
        stop(worker).await;
    }
    let asked = std::time::Instant::now();
    let told = ready().await;
    assert_eq!((&told["key"], &told["database"]), (&json!(false), &json!(true)), "{told}");
    assert!(get("/metrics").await.contains("sealwright_authority_key_online{authority=\"issuing\"} 0"));
    assert!(asked.elapsed() < std::time::Duration::from_secs(9), "health waits for the module");
}

/// Without a place to write a refusal down, no PIN is tried.
#[test]
fn a_key_without_a_place_for_refusals_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let softhsm = SoftHsm::start(folder.path());
    let options = softhsm.options("key");
    let public_key = hsm::generate(&options, KeyAlgorithm::P256).expect("a key");
    let nowhere = Some(folder.path().join("nowhere/refused"));
    let options = HsmOptions { refused_pin_file: nowhere.clone(), ..options };
    for refused in [HsmKey::new(&options, &public_key).map(drop), hsm::generate(&options, KeyAlgorithm::P256).map(drop)]
    {
        assert!(matches!(refused, Err(HsmError::RefusedPinFile(file)) if Some(&file) == nowhere.as_ref()));
    }
}

/// Waits until the portal has logged something so many times.
async fn logged(test: &TestWorld, text: &str, times: usize) {
    let mut tries = 0;
    while test.log().matches(text).count() < times {
        tries += 1;
        assert!(tries < 600, "never logged: {text}\n{}", test.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
