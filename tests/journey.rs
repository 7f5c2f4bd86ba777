//! A factory-fresh card becomes a card with two tested certificates: on both databases, whatever is killed or pulled on the way.

use std::path::Path;

use sealwright::commands::demo::evidence;
use sealwright::commands::demo::journey::{self, Agent};
use serde_json::Value;

use crate::support::{Database, PIN, TestWorld, run};

/// What must hold at the end, whatever happened before.
async fn assert_personalized(test: &TestWorld, view: &str) {
    let view: Value = serde_json::from_str(view).expect("a view");
    assert_eq!(view["status"], "success", "{view:#}");
    let certificates = view["data"]["certificates"].as_array().expect("certificates");
    assert_eq!(certificates.len(), 2);
    // The card, read by foreign programs, holds exactly these two; each key signs, and openssl verifies it.
    let out = test.path("out");
    let reader = &test.world.readers[0];
    evidence::collect(&test.world, &out, reader, PIN, &view.to_string()).await.expect("foreign programs agree");
    for (slot, certificate) in ["9a", "9c"].into_iter().zip(certificates) {
        let pem = out.join(format!("{slot}.pem"));
        let serial = run("openssl", &["x509", "-noout", "-serial", "-in", pem.to_str().expect("a path")], &[]);
        let expected = certificate["serial"].as_str().expect("a serial").to_uppercase();
        assert_eq!(serial.trim(), format!("serial={expected}"));
    }
    let socket: &Path = &test.world.socket;
    let objects = run("pkcs15-tool", &["--list-certificates", "--reader", "0"], &[("PCSCLITE_CSOCK_NAME", socket)]);
    assert_eq!(objects.matches("X.509 Certificate [").count(), 2, "{objects}");
    // The chain of the audit is whole.
    let config = test.world.folder.join("sealwright.toml");
    let verified =
        run(env!("CARGO_BIN_EXE_sealwright"), &["audit", "verify", "--config", config.to_str().expect("a path")], &[]);
    assert!(verified.contains("the audit chain is whole"), "{verified}");
    assert!(!test.log().contains(PIN), "the PIN is in the portal's log");
}

async fn undisturbed(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = journey::begin(&test.world, "alice").await.expect("begun");
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = Agent::start(&test.world, &code, &test.world.readers[0], &test.pin_file, &[]).expect("an agent");
    let ended = agent.converse(&mut begun).await.expect("a conversation");
    assert!(ended.success());
    let view = journey::view(&mut begun).await.expect("a view");
    assert_personalized(&test, &view).await;
    // A second start shows nothing new: the first has ended. Alice's credentials are on her page.
    let page = begun.browser.get("/credentials").await.expect("the page");
    assert!(page.contains("20000001") && page.contains("issued"));
    // An independent linter finds nothing in what was issued.
    let tool = |name: &str| format!("{}/var/tools/pkilint/bin/{name}", env!("CARGO_MANIFEST_DIR"));
    let file = |name: &str| test.path("out").join(name).display().to_string();
    for certificate in ["9a.pem", "9c.pem"] {
        run(&tool("lint_pkix_cert"), &["lint", "-s", "WARNING", &file(certificate)], &[]);
    }
    run(&tool("lint_crl"), &["lint", "-t", "CRL", "-p", "PKIX", "-s", "WARNING", &file("crl.der")], &[]);
}

/// Talks until the page asks a person; gives the page.
async fn until_asked(test: &TestWorld, begun: &mut journey::Begun, reader: &str) -> String {
    let code = journey::offer(begun).await.expect("a code");
    let mut agent = Agent::start(&test.world, &code, reader, &test.pin_file, &[]).expect("an agent");
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            agent.compare(begun, number.trim()).await.expect("the same number");
        }
        if line.contains("Answer on the page.") {
            return begun.browser.get(&begun.path).await.expect("the page");
        }
    }
    panic!("the agent ended before the page asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_card_is_not_written() {
    let test = TestWorld::start(Database::Sqlite).await;
    let reader = test.world.readers[0].clone();
    journey::run(&test.world, "alice", &reader, &test.pin_file).await.expect("alice's card");
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    let page = until_asked(&test, &mut bob, &reader).await;
    assert!(page.contains("This card belongs to somebody else"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_card_with_a_certificate_is_not_written() {
    let test = TestWorld::start(Database::Sqlite).await;
    let reader = test.world.readers[0].clone();
    let socket: &Path = &test.world.socket;
    let pem = test.path("foreign.pem").display().to_string();
    let key = test.path("foreign.key").display().to_string();
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=x",
            "-keyout",
            &key,
            "-out",
            &pem,
        ],
        &[],
    );
    let import = ["-r", &reader, "-a", "import-certificate", "-s", "9a", "-i", &pem];
    run("yubico-piv-tool", &import, &[("PCSCLITE_CSOCK_NAME", socket)]);
    let mut alice = journey::begin(&test.world, "alice").await.expect("begun");
    let page = until_asked(&test, &mut alice, &reader).await;
    assert!(page.contains("This card cannot be used"), "{page}");
    let read = test.path("read.pem").display().to_string();
    let export = ["-r", &reader, "-a", "read-certificate", "-s", "9a", "-o", &read];
    run("yubico-piv-tool", &export, &[("PCSCLITE_CSOCK_NAME", socket)]);
    let text = |path: &str| std::fs::read_to_string(path).expect("a certificate");
    assert_eq!(text(&read).trim(), text(&pem).trim());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_is_tried_once() {
    let test = TestWorld::start(Database::Sqlite).await;
    let reader = test.world.readers[0].clone();
    let mut begun = journey::begin(&test.world, "alice").await.expect("begun");
    let code = journey::offer(&mut begun).await.expect("a code");
    let environment = [("SEALWRIGHT_FAIL_POINT".to_owned(), "agent.generate.before".to_owned())];
    let mut agent = Agent::start(&test.world, &code, &reader, &test.pin_file, &environment).expect("an agent");
    assert!(!agent.converse(&mut begun).await.is_ok_and(|status| status.success()));
    // The card is taken over; now somebody gives another PIN.
    let wrong = test.path("wrong-pin");
    std::fs::write(&wrong, "11223344\n").expect("written");
    let mut agent = Agent::start(&test.world, &code, &reader, &wrong, &[]).expect("an agent");
    assert!(!agent.converse(&mut begun).await.expect("a conversation").success());
    let view = journey::view(&mut begun).await.expect("a view");
    assert_eq!(journey::status_of(&view).expect("a status"), "failure");
    let page = begun.browser.get(&begun.path).await.expect("the page");
    assert!(page.contains("Start again: nothing is lost"), "{page}");
    let socket: &Path = &test.world.socket;
    let status = run("yubico-piv-tool", &["-r", &reader, "-a", "status"], &[("PCSCLITE_CSOCK_NAME", socket)]);
    assert!(status.contains("PIN tries left:\t2"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_certificates_on_sqlite() {
    undisturbed(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_certificates_on_postgres() {
    undisturbed(Database::Postgres).await;
}

/// Ends the portal at a fail point, starts it again, and expects the same end.
async fn portal_killed_at(database: Database, point: &str) {
    let test_environment = [("SEALWRIGHT_FAIL_POINT", point)];
    let mut test = TestWorld::start_with(database, &test_environment, "any-blank = true").await;
    let finished = tokio::time::timeout(std::time::Duration::from_secs(180), async {
        let mut begun = journey::begin(&test.world, "alice").await;
        if begun.is_err() {
            restart(&mut test).await;
            begun = journey::begin(&test.world, "alice").await;
        }
        let mut begun = begun.expect("begun after a restart");
        let mut code = journey::offer(&mut begun).await;
        if code.is_err() {
            restart(&mut test).await;
            code = journey::offer(&mut begun).await;
        }
        let code = code.expect("a code after a restart");
        // As the agent's own words say: the same code again, and a new one from the page when that is spent.
        let mut code = code;
        for attempt in 0..6 {
            if attempt >= 2 {
                let (path, csrf) = (begun.path.clone(), begun.csrf.clone());
                begun.browser.post(&format!("{path}/code"), &[("csrf", &csrf)]).await.expect("a new code");
                let page = begun.browser.get(&path).await.expect("the page");
                match journey::between(&page, "<code class=\"code\">", "</code>") {
                    Some(fresh) => code = fresh,
                    // No card is waited for any more: the rest goes by itself.
                    None => break,
                }
            }
            let reader = test.world.readers[0].clone();
            let mut agent = Agent::start(&test.world, &code, &reader, &test.pin_file, &[]).expect("an agent");
            let talk = agent.converse(&mut begun);
            tokio::pin!(talk);
            let ended = loop {
                tokio::select! {
                    ended = &mut talk => break ended,
                    () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {
                        if test.world.portal_has_ended().expect("a process") {
                            test.world.restart_portal().await.expect("restarted");
                        }
                    }
                }
            };
            restart(&mut test).await;
            if ended.is_ok_and(|status| status.success()) {
                break;
            }
        }
        // What needs no card goes on by itself, after the lease of the killed one.
        loop {
            let view = journey::view(&mut begun).await.expect("a view");
            if journey::status_of(&view).expect("a status") != "running" {
                break view;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    })
    .await;
    let view = finished.unwrap_or_else(|_| panic!("{point}: nothing ended within three minutes\n{}", test.log()));
    assert_personalized(&test, &view).await;
}

async fn restart(test: &mut TestWorld) {
    // A portal that was killed shows as ended soon after.
    for _ in 0..20 {
        if test.world.portal_has_ended().expect("a process") {
            test.world.restart_portal().await.expect("restarted");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

macro_rules! portal_fail_points {
    ($($name:ident: $point:literal),* $(,)?) => {
        /// The points of the portal that the journey passes.
        const PORTAL_POINTS: &[&str] = &[$($point),*];
        mod portal_killed {
            use super::*;
            $(mod $name {
                use super::*;
                #[tokio::test(flavor = "multi_thread")]
                async fn on_sqlite() {
                    portal_killed_at(Database::Sqlite, $point).await;
                }
                #[tokio::test(flavor = "multi_thread")]
                async fn on_postgres() {
                    portal_killed_at(Database::Postgres, $point).await;
                }
            })*
        }
    };
}

portal_fail_points! {
    looking_up_the_person: "directory.find-person",
    before_performing: "engine.perform.before:2",
    after_performing: "engine.perform.after:2",
    taking_a_report: "engine.report",
    before_signing: "pki.sign.before",
    after_signing: "pki.sign.after",
    publishing: "directory.publish-certificates",
    reading_an_inbox: "engine.inbox",
    a_late_commit: "store.commit:12",
    after_a_late_commit: "store.write.after:15",
}

/// Ends the agent at a fail point, starts it again with the same code, and expects the same end.
async fn agent_killed_at(point: &str) {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut begun = journey::begin(&test.world, "alice").await.expect("begun");
    let code = journey::offer(&mut begun).await.expect("a code");
    let environment = [("SEALWRIGHT_FAIL_POINT".to_owned(), point.to_owned())];
    let reader = &test.world.readers[0];
    let mut agent = Agent::start(&test.world, &code, reader, &test.pin_file, &environment).expect("an agent");
    // A code that was redeemed by an agent that had not confirmed is spent: the page gives a new one.
    let ended = agent.converse(&mut begun).await;
    assert!(!ended.is_ok_and(|status| status.success()), "{point} was not reached");
    let mut agent = Agent::start(&test.world, &code, reader, &test.pin_file, &[]).expect("an agent");
    let mut ended = agent.converse(&mut begun).await.expect("a conversation");
    if point == "agent.confirm" {
        assert!(!ended.success(), "a spent code was good again");
        let csrf = begun.csrf.clone();
        begun.browser.post(&format!("{}/code", begun.path), &[("csrf", &csrf)]).await.expect("a new code");
        let page = begun.browser.get(&begun.path).await.expect("the page");
        let code = journey::between(&page, "<code class=\"code\">", "</code>").expect("a code");
        let mut agent = Agent::start(&test.world, &code, reader, &test.pin_file, &[]).expect("an agent");
        ended = agent.converse(&mut begun).await.expect("a conversation");
    }
    assert!(ended.success(), "{point}: the second agent did not finish");
    let view = journey::view(&mut begun).await.expect("a view");
    assert_personalized(&test, &view).await;
}

macro_rules! agent_fail_points {
    ($($name:ident: $point:literal),* $(,)?) => {
        /// The points of the agent.
        const AGENT_POINTS: &[&str] = &[$($point),*];
        mod agent_killed {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                agent_killed_at($point).await;
            })*
        }
    };
}

agent_fail_points! {
    confirming: "agent.confirm",
    identifying: "agent.identify",
    identified: "agent.identify.done",
    replacing_the_pin: "agent.replace.pin",
    replacing_the_puk: "agent.replace.puk",
    replacing_the_management_key: "agent.replace.management-key",
    secrets_replaced: "agent.replace.done",
    before_generating: "agent.generate.before",
    after_generating: "agent.generate.after",
    generated: "agent.generate.done",
    before_installing: "agent.install.before",
    installed: "agent.install.done",
    before_proving: "agent.prove.before",
    proved: "agent.prove.done",
    reporting: "agent.report",
}

/// The points that are named in the sources of a program.
fn points_of(folder: &str, skip: &[&str]) -> Vec<String> {
    fn read(folder: &Path, skip: &[&str], found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && !skip.contains(&name.as_str()) {
                read(&path, skip, found);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                for part in text.split("fail_point!(\"").skip(1) {
                    found.extend(part.split('"').next().map(str::to_owned));
                }
            }
        }
    }
    let mut found = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), skip, &mut found);
    found.sort();
    found.dedup();
    found
}

#[test]
fn every_fail_point_is_one_that_the_journey_is_killed_at() {
    // Points that an undisturbed personalization does not pass.
    let elsewhere = ["engine.timer", "pki.issue-crl", "cards.pairing", "store.write.before"];
    let killed: Vec<&str> = PORTAL_POINTS.iter().map(|point| point.split(':').next().expect("a name")).collect();
    for point in points_of("src", &["agent", "workflow", "pki", "protocol"]) {
        assert!(
            killed.contains(&point.as_str()) || elsewhere.contains(&point.as_str()),
            "nothing is killed at {point}"
        );
    }
    for point in points_of("src/agent", &[]) {
        assert!(AGENT_POINTS.contains(&point.as_str()), "nothing is killed at {point}");
    }
}

#[test]
fn every_activity_and_job_and_commit_has_a_fail_point() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(root.join("activities")).expect("the activities") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a source");
        let performs = text.contains("async fn perform(") && !text.contains("type Performed = Infallible");
        assert!(!performs || text.contains("fail_point!("), "{} has an effect without a fail point", path.display());
    }
    for entry in std::fs::read_dir(root.join("agent/jobs")).expect("the jobs") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a source");
        assert!(path.ends_with("mod.rs") || text.contains("fail_point!("), "{} has no fail point", path.display());
    }
    for file in ["store/mod.rs", "store/writer.rs"] {
        let text = std::fs::read_to_string(root.join(file)).expect("a source");
        assert!(text.contains("fail_point!(\"store.commit\")"), "{file} commits without a fail point");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_pulled_goes_on_when_it_is_back() {
    let mut test = TestWorld::start(Database::Sqlite).await;
    let mut begun = journey::begin(&test.world, "alice").await.expect("begun");
    let code = journey::offer(&mut begun).await.expect("a code");
    let reader = test.world.readers[0].clone();
    let mut agent = Agent::start(&test.world, &code, &reader, &test.pin_file, &[]).expect("an agent");
    // Pulled and put back as soon as each state of the journey is announced.
    let mut pulled = 0;
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            agent.compare(&mut begun, number.trim()).await.expect("the same number");
        }
        if line.starts_with('·') {
            test.world.remove(0).await.expect("removed");
            test.world.insert(0).expect("inserted");
            pulled += 1;
        }
    }
    assert!(pulled >= 8, "only {pulled} states were announced");
    let view = journey::view(&mut begun).await.expect("a view");
    assert_personalized(&test, &view).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_not_in_stock_is_not_written() {
    let test = TestWorld::start_with(Database::Sqlite, &[], "stock = [\"1\"]").await;
    let mut begun = journey::begin(&test.world, "alice").await.expect("begun");
    let reader = test.world.readers[0].clone();
    let page = until_asked(&test, &mut begun, &reader).await;
    assert!(page.contains("This card cannot be used"), "{page}");
    let step = journey::field(&page, "step").expect("a step");
    let csrf = begun.csrf.clone();
    let fields = [("csrf", csrf.as_str()), ("step", step.as_str()), ("action", "stop")];
    begun.browser.post(&format!("{}/act", begun.path), &fields).await.expect("stopped");
    let view = journey::view(&mut begun).await.expect("a view");
    assert_eq!(journey::status_of(&view).expect("a status"), "cancelled");
    let socket: &Path = &test.world.socket;
    let status =
        run("yubico-piv-tool", &["-r", &test.world.readers[0], "-a", "status"], &[("PCSCLITE_CSOCK_NAME", socket)]);
    assert!(!status.contains("Slot 9a"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_good_once_and_only_when_the_numbers_were_confirmed() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut begun = journey::begin(&test.world, "alice").await.expect("begun");
    let code = journey::offer(&mut begun).await.expect("a code");
    let reader = &test.world.readers[0];
    // A wrong code.
    let mut agent = Agent::start(&test.world, "AAAA-AAAA", reader, &test.pin_file, &[]).expect("an agent");
    assert!(!agent.converse(&mut begun).await.expect("a conversation").success());
    // The person at the agent says no: nothing was done, and the code is spent.
    let mut agent = Agent::start(&test.world, &code, reader, &test.pin_file, &[]).expect("an agent");
    while let Some(line) = agent.line().await.expect("a line") {
        if line.starts_with("Number:") {
            agent.answer("n\n").await.expect("answered");
        }
        assert!(!line.starts_with('·'), "a job ran before the numbers were confirmed: {line}");
    }
    let mut agent = Agent::start(&test.world, &code, reader, &test.pin_file, &[]).expect("an agent");
    let mut said = String::new();
    while let Some(line) = agent.line().await.expect("a line") {
        said.push_str(&line);
        assert!(!line.starts_with("Number:"), "a used code was good again");
    }
    // The card is as it was.
    let socket: &Path = &test.world.socket;
    let status =
        run("yubico-piv-tool", &["-r", reader, "-a", "verify-pin", "-P", "123456"], &[("PCSCLITE_CSOCK_NAME", socket)]);
    assert!(status.contains("Successfully verified PIN"), "{status}");
}
