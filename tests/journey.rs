//! A factory-fresh card becomes a card with two tested certificates, on both databases, and what happens when it cannot.

pub mod approval;
mod attestation;
mod cards;
mod codes;
mod crashes;
mod directory;
mod drivers;
mod faults;
mod names;
mod people;
mod pins;
mod requests;
mod revocation;
mod shared;

use std::path::{Path, PathBuf};

use sealwright_world::evidence;
use sealwright_world::journey::Begun;
use serde_json::Value;

use crate::support::{Database, PIN, TestWorld, ended, lint_certificates, lint_lists, run};

/// What must hold at the end, whatever happened before.
pub async fn assert_personalized(test: &TestWorld, begun: &mut Begun) {
    let view = ended(begun).await;
    assert_eq!(view["status"], "success", "{view:#}");
    let certificates = view["data"]["certificates"].as_array().expect("certificates");
    assert_eq!(certificates.len(), 2);
    // The card, read by foreign programs, holds exactly these two; each key signs, and openssl verifies it.
    let out = test.path("out");
    match &test.token {
        None => {
            let reader = &test.world.readers[0];
            evidence::collect(&test.world, &out, reader, PIN, &view.to_string()).await.expect("foreign programs agree");
            let socket: &Path = &test.world.socket;
            let variables = [("PCSCLITE_CSOCK_NAME", socket)];
            let objects = run("pkcs15-tool", &["--list-certificates", "--reader", "0"], &variables);
            assert_eq!(objects.matches("X.509 Certificate [").count(), 2, "{objects}");
        }
        Some(token) => drivers::collect(test, token, &out).await,
    }
    for (slot, certificate) in ["9a", "9c"].into_iter().zip(certificates) {
        let pem = out.join(format!("{slot}.pem"));
        let serial = run("openssl", &["x509", "-noout", "-serial", "-in", pem.to_str().expect("a path")], &[]);
        let expected = certificate["serial"].as_str().expect("a serial").to_uppercase();
        assert_eq!(serial.trim(), format!("serial={expected}"));
    }
    // A relying party finds a list for every certificate of the chain.
    let lists = ["issuing", "root"].map(|name| (name, format!("{}/pki/crl/{name}.crl", test.world.public_url)));
    let mut all = String::new();
    for (name, url) in lists {
        let der = out.join(format!("{name}.crl"));
        std::fs::write(&der, reqwest::get(url).await.expect("an answer").bytes().await.expect("a list"))
            .expect("written");
        all += &run("openssl", &["crl", "-inform", "DER", "-in", der.to_str().expect("a path")], &[]);
    }
    std::fs::write(out.join("lists.pem"), all).expect("written");
    let file = |name: &str| out.join(name).display().to_string();
    for certificate in ["9a.pem", "9c.pem"] {
        let chain = [file("ca.pem"), file("lists.pem"), file(certificate)];
        let [ca, lists, certificate] = &chain;
        run("openssl", &["verify", "-crl_check_all", "-CAfile", ca, "-CRLfile", lists, certificate], &[]);
    }
    // No certificate is valid but these two, and every one that was begun has ended.
    let page = begun.browser.get("/credentials").await.expect("the page");
    assert_eq!(page.matches(">issued<").count(), 2, "{page}");
    // The chain of the audit is whole.
    let config = test.world.folder.join("sealwright.toml");
    let verified =
        run(env!("CARGO_BIN_EXE_sealwright"), &["audit", "verify", "--config", config.to_str().expect("a path")], &[]);
    assert!(verified.contains("the audit chain is whole"), "{verified}");
    assert!(!test.log().contains(PIN), "the PIN is in the portal's log");
    for file in ["sealwright.db", "sealwright.db-wal"] {
        // There is none where the database is a server.
        let bytes = std::fs::read(test.world.folder.join(file)).unwrap_or_default();
        assert!(!bytes.windows(PIN.len()).any(|part| part == PIN.as_bytes()), "the PIN is in {file}");
    }
}

/// What must hold when a personalization has ended without success: its words, and that nothing of it is valid.
async fn assert_nothing_issued(begun: &mut Begun, status: &str) -> Value {
    let view = ended(begun).await;
    assert_eq!(view["status"], status, "{view:#}");
    let page = begun.browser.get("/credentials").await.expect("the page");
    assert!(!page.contains(">issued<"), "{page}");
    view
}

async fn undisturbed(database: Database) {
    let test = TestWorld::start_with_rsa(database).await;
    let mut begun = test.alice().await;
    let code = sealwright_world::journey::offer(&mut begun).await.expect("a code");
    let ended = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(ended.success());
    assert_personalized(&test, &mut begun).await;
    // A database server's files are other ones than those that are looked into each time.
    let server = test.path("postgres");
    let found: Vec<PathBuf> = test.files_with(PIN).into_iter().filter(|file| file.starts_with(&server)).collect();
    assert_eq!(found, Vec::<PathBuf>::new(), "the PIN is in the database");
    // What was issued, and those who issued it.
    let file = |name: &str| test.path("out").join(name);
    let chain = std::fs::read_to_string(file("ca.pem")).expect("a chain");
    let authorities = sealwright_pki::certificate::from_pem("CERTIFICATE", &chain);
    assert_eq!(authorities.len(), 2);
    for (name, der) in ["issuing.der", "root.der"].into_iter().zip(authorities) {
        std::fs::write(file(name), der).expect("written");
    }
    lint_certificates(["9a.pem", "9c.pem", "issuing.der", "root.der"].map(file).iter().map(PathBuf::as_path));
    lint_lists(["crl.der", "root.crl"].map(file).iter().map(PathBuf::as_path));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_certificates_on_sqlite() {
    undisturbed(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_certificates_on_postgres() {
    undisturbed(Database::OwnPostgres).await;
}
