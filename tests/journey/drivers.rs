//! One suite for both kinds of card: PIV cards over PC/SC, and tokens of a PKCS#11 module.

use std::path::Path;

use sealwright_protocol::{FromAgent, Report};
use sealwright_world::journey::{self, Begun};

use super::{assert_nothing_issued, assert_personalized};
use crate::support::softhsm::{self, SoftHsm};
use crate::support::wire::Wire;
use crate::support::{
    Database, Kind, PIN, TestWorld, ended, library, lint_certificates, new_code, run, self_signed, shows, start_again,
};

macro_rules! on_both_kinds {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use super::*;
            #[tokio::test(flavor = "multi_thread")]
            async fn of_a_piv_card() {
                super::$name(Database::Sqlite, Kind::PivCard).await;
            }
            #[tokio::test(flavor = "multi_thread")]
            async fn of_a_token_on_sqlite() {
                super::$name(Database::Sqlite, Kind::Token).await;
            }
            #[tokio::test(flavor = "multi_thread")]
            async fn of_a_token_on_postgres() {
                super::$name(Database::Postgres, Kind::Token).await;
            }
        })*
    };
}

on_both_kinds! {
    an_agent_that_is_killed_at_every_step_goes_on,
    every_slot_has_the_key_that_was_asked_for,
    keys_that_do_not_sign_decipher_challenges_out,
    a_wrong_pin_is_tried_once,
    a_certificate_of_somebody_elses_keeps_a_card_from_being_written,
}

/// What pkcs11-tool and openssl say of a token with two certificates: as [`sealwright_world::evidence`] does of a PIV card.
pub async fn collect(test: &TestWorld, token: &SoftHsm, out: &Path) {
    std::fs::create_dir_all(out).expect("a folder");
    let file = |name: &str| out.join(name).display().to_string();
    let chain = reqwest::get(format!("{}/pki/ca/issuing.pem", test.world.public_url)).await.expect("an answer");
    std::fs::write(file("ca.pem"), chain.bytes().await.expect("a chain")).expect("written");
    let signed_in = ["--token-label", "Sealwright", "--login", "--pin", PIN];
    let tool = |arguments: &[&str]| token.pkcs11_tool(&[&signed_in, arguments].concat());
    for (slot, id, mechanism) in [("9a", "01", "SHA256-RSA-PKCS"), ("9c", "02", "ECDSA")] {
        let [der, pem, public] = ["der", "pem", "pub"].map(|kind| file(&format!("{slot}.{kind}")));
        let [message, hash, signature] = ["txt", "hash", "sig"].map(|kind| file(&format!("{slot}.{kind}")));
        tool(&["--read-object", "--type", "cert", "--id", id, "--output-file", &der]);
        run("openssl", &["x509", "-inform", "DER", "-in", &der, "-out", &pem], &[]);
        run("openssl", &["verify", "-CAfile", &file("ca.pem"), &pem], &[]);
        run("openssl", &["x509", "-pubkey", "-noout", "-in", &pem, "-out", &public], &[]);
        std::fs::write(&message, slot).expect("written");
        run("openssl", &["dgst", "-sha256", "-binary", "-out", &hash, &message], &[]);
        // ECDSA of a token signs the hash; RSA hashes itself.
        let input = if mechanism == "ECDSA" { &hash } else { &message };
        let sign = ["--sign", "--mechanism", mechanism, "--id", id, "--signature-format", "openssl"];
        tool(&[&sign[..], &["--input-file", input, "--output-file", &signature]].concat());
        run("openssl", &["dgst", "-sha256", "-verify", &public, "-signature", &signature, &message], &[]);
    }
    let keys = tool(&["--list-objects", "--type", "privkey"]);
    assert_eq!(keys.matches("Private Key Object").count(), 2, "{keys}");
    assert_eq!(keys.matches("sensitive, always sensitive, never extractable, local").count(), 2, "{keys}");
    // The factory's PINs are good for nothing.
    for (who, pin) in [("so", softhsm::SO_PIN), ("user", softhsm::PIN)] {
        let login = ["--token-label", "Sealwright", "--login", "--login-type", who, "--pin", pin, "--so-pin", pin];
        let refused = std::panic::catch_unwind(|| token.pkcs11_tool(&[&login[..], &["--list-objects"]].concat()));
        assert!(refused.is_err(), "the factory's PIN of the {who} is still good");
    }
}

/// An agent that ends at a fail point.
async fn killed_at(test: &TestWorld, begun: &mut Begun, code: &str, point: &str) {
    let mut agent = test.agent_with(code, Some(&test.pin_file), &[("SEALWRIGHT_FAIL_POINT", point)]);
    let ended = agent.converse(begun).await.expect("an end");
    assert!(ended.status.code().is_none(), "{point} was never reached: {}", ended.said);
}

/// The agent's points, in the order in which a card passes them.
const POINTS: [&str; 11] = [
    "agent.identify",
    "agent.identify.done",
    "agent.replace.pin",
    "agent.replace.management-key",
    "agent.replace.done",
    "agent.generate.before",
    "agent.generate.after",
    "agent.generate.done",
    "agent.install.before",
    "agent.install.done",
    "agent.prove.done",
];

async fn an_agent_that_is_killed_at_every_step_goes_on(database: Database, kind: Kind) {
    let test = TestWorld::start_with_card(database, kind, None, "").await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    for point in POINTS {
        // A token is made new before it has a PIN.
        if kind == Kind::Token && point == "agent.replace.pin" {
            killed_at(&test, &mut begun, &code, "agent.replace.token").await;
        }
        killed_at(&test, &mut begun, &code, point).await;
    }
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    assert_personalized(&test, &mut begun).await;
    // Secrets were sealed once, however often they were sent.
    assert_eq!(test.audited("factory-secrets-sealed").await.len(), 1);
}

const SLOTS: &str = r#"
[profiles.signature]
title = "Signatures"
subject = ["DC=test", "DC=demo", "OU=People", "CN={name}"]
key-algorithms = ["p-256", "p-384", "rsa-2048", "rsa-3072"]
validity-days = 30
key-usage = ["digital-signature"]

[personalization]
slots = [
    { slot = "9a", profile = "signature", algorithm = "p-384" },
    { slot = "9c", profile = "signature", algorithm = "rsa-3072" },
    { slot = "9d", profile = "signature", algorithm = "rsa-2048" },
    { slot = "9e", profile = "signature" },
    { slot = "82", profile = "signature" },
    { slot = "95", profile = "signature", algorithm = "p-384" },
]
"#;

async fn every_slot_has_the_key_that_was_asked_for(database: Database, kind: Kind) {
    let test = TestWorld::start_with_card(database, kind, Some(SLOTS), "").await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    assert_eq!(ended(&mut begun).await["data"]["certificates"].as_array().map(Vec::len), Some(6));
    for (slot, key) in [
        ("9a", "secp384r1"),
        ("9c", "(3072 bit)"),
        ("9d", "(2048 bit)"),
        ("9e", "prime256v1"),
        ("82", "prime256v1"),
        ("95", "secp384r1"),
    ] {
        let text = certificate(&test, slot).await;
        assert!(text.contains(key), "{slot}: {text}");
    }
    if kind == Kind::PivCard {
        // Other programs find retired keys by the key history that the agent has written: they look for as many as it says.
        let module = library("opensc-pkcs11.so");
        let list = ["--module", &module, "--slot-index", "0", "--list-objects", "--type", "cert"];
        let listed = run("pkcs11-tool", &list, &[("PCSCLITE_CSOCK_NAME", &test.world.socket)]);
        for number in [1, 20] {
            assert!(listed.contains(&format!("Retired Certificate for Key Management {number}")), "{listed}");
        }
    }
}

/// A slot's certificate, as openssl prints it, read by a foreign program.
async fn certificate(test: &TestWorld, slot: &str) -> String {
    let path = test.path(slot).display().to_string();
    let form = match &test.token {
        None => {
            test.piv(&["-a", "read-certificate", "-s", slot, "-o", &path]).await;
            "PEM"
        }
        Some(token) => {
            let id = match slot {
                "9a" => "01",
                "9c" => "02",
                "9d" => "03",
                "9e" => "04",
                "82" => "05",
                _ => "18",
            };
            let read = ["--token-label", "Sealwright", "--read-object", "--type", "cert", "--id", id, "--output-file"];
            token.pkcs11_tool(&[&read[..], &[&path]].concat());
            "DER"
        }
    };
    run("openssl", &["x509", "-inform", form, "-noout", "-text", "-in", &path], &[])
}

/// A profile for encryption alone.
pub fn encryption(algorithm: &str, usage: &str) -> String {
    format!(
        r#"
[profiles.encryption]
title = "Encryption"
subject = ["DC=test", "DC=demo", "OU=People", "CN={{name}}"]
key-algorithms = ["{algorithm}"]
validity-days = 30
key-usage = ["{usage}"]

[personalization]
slots = [{{ slot = "9d", profile = "encryption" }}]
"#
    )
}

async fn keys_that_do_not_sign_decipher_challenges_out(database: Database, kind: Kind) {
    // The second is told as older modules want it, to a token that takes both.
    let cases = [
        ("rsa-2048", "key-encipherment", "init-token = false"),
        ("p-256", "key-agreement", "ecdh-point = \"octet-string\""),
    ];
    for (algorithm, usage, quirks) in cases {
        let profiles = encryption(algorithm, usage);
        let test = TestWorld::start_with_card(database, kind, Some(&profiles), quirks).await;
        let mut begun = test.alice().await;
        let code = journey::offer(&mut begun).await.expect("a code");
        for point in ["agent.prove.before", "agent.prove.done"] {
            killed_at(&test, &mut begun, &code, point).await;
        }
        let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
        assert!(done.success(), "{algorithm}: {}", done.said);
        assert_eq!(ended(&mut begun).await["status"], "success");
        assert_eq!(test.audited("key-proved").await.len(), 1);
        if kind == Kind::PivCard {
            let certificate = test.path("9d.pem");
            test.piv(&["-a", "read-certificate", "-s", "9d", "-o", certificate.to_str().expect("a path")]).await;
            lint_certificates([certificate.as_path()]);
        }
    }
}

async fn a_wrong_pin_is_tried_once(database: Database, kind: Kind) {
    let test = TestWorld::start_with_card(database, kind, None, "").await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    killed_at(&test, &mut begun, &code, "agent.generate.before").await;
    let wrong = test.pin_file("11111111");
    let ended = test.agent_with(&code, Some(&wrong), &[]).converse(&mut begun).await.expect("a conversation");
    assert!(!ended.success(), "a wrong PIN was good");
    assert_nothing_issued(&mut begun, "failure").await;
    let page = shows(&mut begun, "PIN").await;
    assert!(page.contains("wrong") || page.contains("not given"), "{page}");
    // The right one goes on with what is missing.
    let code = start_again(&mut begun).await;
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    assert_personalized(&test, &mut begun).await;
}

async fn a_certificate_of_somebody_elses_keeps_a_card_from_being_written(database: Database, kind: Kind) {
    let test = TestWorld::start_with_card(database, kind, None, "").await;
    let pem = self_signed(&test.path(""), "foreign", "/CN=x");
    match &test.token {
        None => {
            test.piv(&["-a", "import-certificate", "-s", "9a", "-i", &pem]).await;
        }
        Some(token) => {
            let der = test.path("foreign.der").display().to_string();
            run("openssl", &["x509", "-in", &pem, "-outform", "DER", "-out", &der], &[]);
            // Under an id that no slot has.
            token.tool(&["--write-object", &der, "--type", "cert", "--id", "77"]);
        }
    }
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "Answer on the page.").await.expect("asked");
    shows(&mut begun, "This card cannot be used").await;
    assert!(new_code(&mut begun).await.is_none());
    if let Some(token) = &test.token {
        let objects = token.tool(&["--list-objects"]);
        assert!(objects.contains("77") && !objects.contains("Private Key"), "{objects}");
    }
}

/// Whoever has a token's PIN can delete what is on it: that is noticed when the token is seen next, and nobody is told that all is well.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_lost_a_certificate_is_not_called_ready() {
    let test = TestWorld::start_with_card(Database::Sqlite, Kind::Token, None, "").await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_personalized(&test, &mut begun).await;
    let token = test.token.as_ref().expect("a token");
    let signed_in = ["--token-label", "Sealwright", "--login", "--pin", PIN];
    token.pkcs11_tool(&[&signed_in[..], &["--delete-object", "--type", "cert", "--id", "01"]].concat());
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let end = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(!end.success(), "{}", end.said);
    let view = ended(&mut begun).await;
    assert_eq!(view["status"], "failure", "{view:#}");
    assert!(view.to_string().contains("the card holds another valid certificate there"), "{view:#}");
}

/// A token proves nothing of itself: what somebody else's agent says of it changes nothing of what is known of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_says_of_a_token_is_not_noted() {
    let mut test = TestWorld::start_with_card(Database::Sqlite, Kind::Token, None, "").await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    let own = test.world.agent_url.clone();
    let wire = Wire::start(&own, |message| {
        if let FromAgent::Report { report: Report::Identified(facts), .. } = message {
            facts.certificates.clear();
        }
    })
    .await;
    wire.stands_between(&mut test);
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    let code = journey::offer(&mut bob).await.expect("a code");
    test.agent(&code).until(&mut bob, "Answer on the page.").await.expect("asked");
    shows(&mut bob, "This card belongs to somebody else.").await;
    // Alice's certificates are known to be where they are.
    test.world.agent_url = own;
    let mut again = test.alice().await;
    let code = journey::offer(&mut again).await.expect("a code");
    let done = test.agent(&code).converse(&mut again).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    assert_personalized(&test, &mut again).await;
}

/// OpenSC shows PIV cards too, and a module may be gone: every card is listed once, and what cannot be used is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_several_programs_show_is_one_card() {
    let mut test = TestWorld::start_with_card(Database::Sqlite, Kind::Token, None, "").await;
    let url = test.world.agent_url.clone();
    let opensc = library("opensc-pkcs11.so");
    let modules = format!("[[modules]]\npath = \"{opensc}\"\n[[modules]]\npath = \"/nowhere/module.so\"\n");
    test.agents_connect_to(&url, &modules);
    let configuration = test.token.as_ref().expect("a token").configuration();
    let agent = test.world.agent.display().to_string();
    let shown =
        run("pkcs11-tool", &["--module", &opensc, "--list-slots"], &[("PCSCLITE_CSOCK_NAME", &test.world.socket)]);
    assert!(shown.contains("Virtual reader"), "{shown}");
    let said = run(&agent, &["cards", "--json"], &[("SOFTHSM2_CONF", &configuration)]);
    assert!(said.contains("The module /nowhere/module.so cannot be used"), "{said}");
    let line = said.lines().find(|line| line.starts_with('[')).expect("a list");
    let listed: Vec<serde_json::Value> = serde_json::from_str(line).expect("JSON");
    let cards: Vec<&str> = listed.iter().filter_map(|reader| reader["card"].as_str()).collect();
    assert_eq!(cards.len(), 3, "{said}");
    assert_eq!(cards[..2], ["20000001", "20000002"]);
    assert_eq!(listed[2]["card"].as_str().map(str::len), Some(16), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_not_taken_without_the_factorys_pin() {
    for (pin, says) in
        [(None, "This card cannot be used"), (Some("00000000"), "The card did not accept its new secrets")]
    {
        let test = TestWorld::start_with_factory_so_pin(pin).await;
        let token = test.token.as_ref().expect("a token");
        let before = token.tool(&["--list-objects"]);
        let mut begun = test.alice().await;
        let code = journey::offer(&mut begun).await.expect("a code");
        test.agent(&code).until(&mut begun, "Answer on the page.").await.expect("asked");
        shows(&mut begun, says).await;
        // It has its factory's PINs and what it held.
        assert_eq!(token.tool(&["--list-objects"]), before);
    }
}

/// A PIN that is typed at the reader cannot be given for one job after another: the token is refused as it is, and the person is told why.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_a_pin_pad_is_refused() {
    let test = TestWorld::start_with_card(Database::Sqlite, Kind::Token, None, "").await;
    let module = test.path("pin-pad.so").display().to_string();
    let source = format!("{}/tests/support/pin_pad.c", env!("CARGO_MANIFEST_DIR"));
    let name = format!("-DMODULE=\"{}\"", softhsm::MODULE);
    run("cc", &["-shared", "-fPIC", &name, "-o", &module, &source], &[]);
    let agent = test.world.folder.join("agent.toml");
    let configured = std::fs::read_to_string(&agent).expect("a configuration").replace(softhsm::MODULE, &module);
    std::fs::write(&agent, configured).expect("written");
    let token = test.token.as_ref().expect("a token");
    let before = token.tool(&["--list-objects"]);
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "has its own PIN pad").await.expect("told why");
    shows(&mut begun, "This card cannot be used").await;
    assert_eq!(token.tool(&["--list-objects"]), before);
    drop(agent);
}
