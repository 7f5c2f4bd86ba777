//! `kill -9` of portal and agent, and a pulled card, at every fail point: the card ends with exactly its two certificates, none is issued
//! twice, none is unknown, and nothing hangs.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use sealwright_protocol::{FromAgent, KeyProof, Report};
use sealwright_world::journey::{self, Agent, Begun, Ended};
use serde_json::Value;

use super::assert_personalized;
use crate::support::client::Client;
use crate::support::wire::Wire;
use crate::support::{Database, TestWorld, ended, go_on, lint_lists, new_code, stands_still};

/// Nothing takes longer, whatever is killed.
const LIMIT: Duration = Duration::from_secs(180);

/// Ends the portal at a fail point, starts it again, and expects the same end.
async fn portal_killed_at(database: Database, point: &str) {
    let mut test = TestWorld::start_with(database, &[("SEALWRIGHT_FAIL_POINT", point)], "any-blank = true").await;
    let mut killed = false;
    let finished = tokio::time::timeout(LIMIT, async {
        let mut begun = journey::begin(&test.world, "alice").await;
        if begun.is_err() {
            test.until_portal_ends().await;
            killed |= restart(&mut test).await;
            begun = journey::begin(&test.world, "alice").await;
        }
        let mut begun = begun.expect("begun after a restart");
        let mut code = journey::offer(&mut begun).await;
        if code.is_err() {
            test.until_portal_ends().await;
            killed |= restart(&mut test).await;
            code = journey::offer(&mut begun).await;
        }
        let mut code = code.expect("a code after a restart");
        // As the agent's own words say: the same code again, and a new one from the page when that is spent.
        for attempt in 0..6 {
            if attempt >= 2 {
                match new_code(&mut begun).await {
                    Some(fresh) => code = fresh,
                    // No card is waited for any more: the rest goes by itself.
                    None => break,
                }
            }
            let mut agent = test.agent(&code);
            let ended = converse_while(&mut agent, &mut begun, async || killed |= restart(&mut test).await).await;
            // One that was killed just now shows as ended soon after.
            for _ in 0..20 {
                killed |= restart(&mut test).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if ended.is_ok_and(|ended| ended.success()) {
                break;
            }
        }
        // What needs no card goes on by itself, after the lease of the killed one.
        ended(&mut begun).await;
        begun
    })
    .await;
    let mut begun = finished.unwrap_or_else(|_| panic!("{point}: nothing ended in time\n{}", test.log()));
    assert!(killed, "{point} was never reached");
    assert_personalized(&test, &mut begun).await;
}

/// Starts a portal again that was killed; says whether it was.
async fn restart(test: &mut TestWorld) -> bool {
    let killed = test.world.portal_has_ended().expect("a process");
    if killed {
        test.world.restart_portal(&[]).await.expect("restarted");
    }
    killed
}

/// Looks at something again and again while an agent and a page talk.
async fn converse_while(agent: &mut Agent, begun: &mut Begun, mut look: impl AsyncFnMut()) -> anyhow::Result<Ended> {
    let talk = agent.converse(begun);
    tokio::pin!(talk);
    loop {
        tokio::select! {
            ended = &mut talk => return ended,
            () = tokio::time::sleep(Duration::from_millis(20)) => look().await,
        }
    }
}

/// One function for each of several values: a module of tests on both databases, which `make chaos` runs.
macro_rules! for_each_on_both_databases {
    ($module:ident, $function:ident, $($name:ident: $value:literal),*) => {
        mod $module {
            $(mod $name {
                use crate::support::Database;
                #[tokio::test(flavor = "multi_thread")]
                async fn on_sqlite() {
                    super::super::super::$function(Database::Sqlite, $value).await;
                }
                #[tokio::test(flavor = "multi_thread")]
                async fn on_postgres() {
                    super::super::super::$function(Database::Postgres, $value).await;
                }
            })*
        }
    };
}

macro_rules! portal_fail_points {
    ($($name:ident: $point:literal),* $(,)?) => {
        /// The points of the portal that the journey passes.
        pub(super) const PORTAL_POINTS: &[&str] = &[$($point),*];
        for_each_on_both_databases!(portal_killed, portal_killed_at, $($name: $point),*);
    };
}

macro_rules! agent_fail_points {
    ($($name:ident: $point:literal),* $(,)?) => {
        /// The points of the agent.
        pub(super) const AGENT_POINTS: &[&str] = &[$($point),*];
        for_each_on_both_databases!(agent_killed, agent_killed_at, $($name: $point),*);
        for_each_on_both_databases!(agent_replaced, agent_replaced_at, $($name: $point),*);
        for_each_on_both_databases!(card_pulled, card_pulled_at, $($name: $point),*);
    };
}

/// The sample of kills that `make test` runs: one test each. Every place of the portal is tried in its own process as well
/// (`testing`), and `make chaos` runs all of these as processes.
macro_rules! sampled {
    ($($function:ident { $($name:ident: $database:ident, $value:literal;)* })*) => {
        $(mod $function {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$function(crate::support::Database::$database, $value).await;
            })*
        })*
    };
}

sampled! {
    portal_killed_at {
        taking_a_report_on_sqlite: Sqlite, "engine.report";
        after_signing_on_sqlite: Sqlite, "pki.sign.after";
        after_a_late_commit_on_sqlite: Sqlite, "store.write.after:20";
        before_performing_on_postgres: Postgres, "engine.perform.before:3";
        a_late_commit_on_postgres: Postgres, "store.commit:20";
        publishing_on_postgres: Postgres, "directory.publish-certificates";
    }
    agent_killed_at {
        replacing_the_puk_on_sqlite: Sqlite, "agent.replace.puk";
        after_generating_on_sqlite: Sqlite, "agent.generate.after";
        confirming_on_postgres: Postgres, "agent.confirm";
        installed_on_postgres: Postgres, "agent.install.done";
    }
    agent_replaced_at {
        secrets_replaced_on_sqlite: Sqlite, "agent.replace.done";
        before_proving_on_postgres: Postgres, "agent.prove.before";
    }
    card_pulled_at {
        replacing_the_pin_on_postgres: Postgres, "agent.replace.pin";
        before_installing_on_sqlite: Sqlite, "agent.install.before";
    }
    clock_jumps_by {
        a_year_on_on_sqlite: Sqlite, "+365d";
        an_hour_back_on_postgres: Postgres, "-1h";
    }
}

/// All of them.
mod chaos {
    portal_fail_points! {
        looking_up_the_person: "directory.find-person",
        // The first two are the clock's: a revocation list, and the comparison with the directory.
        before_performing: "engine.perform.before:3",
        after_performing: "engine.perform.after:3",
        taking_a_report: "engine.report",
        before_signing: "pki.sign.before",
        after_signing: "pki.sign.after",
        publishing: "directory.publish-certificates",
        reading_an_inbox: "engine.inbox",
        pairing: "cards.pairing",
        confirming_a_pairing: "cards.pairing:3",
        before_a_write: "store.write.before:20",
        a_late_commit: "store.commit:20",
        after_a_late_commit: "store.write.after:20",
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

    for_each_on_both_databases!(
        clock_jumps,
        clock_jumps_by,
        an_hour_on: "+1h",
        an_hour_back: "-1h",
        a_year_on: "+365d",
        a_year_back: "-365d"
    );
}

/// Ends an agent at a fail point; gives its code.
async fn kill_agent(test: &TestWorld, begun: &mut Begun, point: &str) -> String {
    let code = journey::offer(begun).await.expect("a code");
    let killed = [("SEALWRIGHT_FAIL_POINT", point)];
    let ended = test.agent_with(&code, Some(&test.pin_file), &killed).converse(begun).await.expect("an end");
    assert_eq!(ended.status.signal(), Some(Signal::SIGKILL as i32), "{point} was never reached");
    code
}

/// Ends the agent at a fail point, starts it again with the same code, and expects the same end.
async fn agent_killed_at(database: Database, point: &str) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = kill_agent(&test, &mut begun, point).await;
    let mut ended = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    if point == "agent.confirm" && !ended.success() {
        // The agent may end before or after the portal has taken its nonce. After it the code is spent: the page gives a new one.
        let code = new_code(&mut begun).await.expect("a code");
        ended = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    }
    assert!(ended.success(), "{point}: the second agent did not finish: {}", ended.said);
    assert_personalized(&test, &mut begun).await;
}

/// The same, but the person goes on at another computer: another agent, which remembers nothing, another browser, another code.
async fn agent_replaced_at(database: Database, point: &str) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    kill_agent(&test, &mut begun, point).await;
    let state = test.world.folder.join("agent-state");
    if state.exists() {
        std::fs::remove_dir_all(&state).expect("removed");
    }
    sign_in_again(&test, &mut begun).await;
    let code = new_code(&mut begun).await.expect("a code");
    let ended = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(ended.success(), "{point}: the other agent did not finish: {}", ended.said);
    assert_personalized(&test, &mut begun).await;
}

/// Pulls the card while the agent stands still at a fail point, puts it back, and expects the same end.
async fn card_pulled_at(database: Database, point: &str) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let stopped = [("SEALWRIGHT_FAIL_POINT", point), ("SEALWRIGHT_FAIL_POINT_SIGNAL", "STOP")];
    let mut agent = test.agent_with(&code, Some(&test.pin_file), &stopped);
    let process = agent.id().expect("a process");
    let mut pulled = false;
    let ended = converse_while(&mut agent, &mut begun, async || {
        if !pulled && stands_still(process) {
            test.world.remove(0).await.expect("removed");
            test.world.insert(0).expect("inserted");
            go_on(process);
            pulled = true;
        }
    })
    .await
    .expect("a conversation");
    assert!(pulled, "{point} was never reached");
    assert!(ended.success(), "{point}: {}", ended.said);
    assert_personalized(&test, &mut begun).await;
}

/// Two nodes work on one database; the first is killed for good when the card is ready and the directory is to be told.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_finishes_what_the_first_has_begun() {
    let killed = [("SEALWRIGHT_FAIL_POINT", "directory.publish-certificates")];
    let mut test = TestWorld::start_with(Database::Postgres, &killed, "any-blank = true").await;
    test.world.start_second_node().await.expect("started");
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    tokio::select! {
        talked = agent.converse(&mut begun) => panic!("the agent ended: {talked:?}"),
        () = test.until_portal_ends() => {}
    }
    drop(agent);
    test.world.fail_over().expect("a second node");
    assert_personalized(&test, &mut begun).await;
}

/// Certificates that could not be proved are withdrawn, and the portal is killed when it is about to sign the list that says so.
async fn withdrawing(database: Database) {
    // The first list is signed when the portal starts for the first time.
    let killed = [("SEALWRIGHT_FAIL_POINT", "pki.issue-crl:2")];
    let mut test = TestWorld::start_with(database, &killed, "any-blank = true").await;
    let wire = Wire::start(&test.world.agent_url, |message| {
        if let FromAgent::Report { report: Report::Installed { proof: Ok(KeyProof::Signature { signature }) }, .. } =
            message
            && let Some(last) = signature.0.last_mut()
        {
            *last ^= 1;
        }
    })
    .await;
    wire.stands_between(&mut test);
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    let mut was_killed = false;
    let talked = converse_while(&mut agent, &mut begun, async || was_killed |= restart(&mut test).await).await;
    assert!(!talked.is_ok_and(|ended| ended.success()));
    assert!(was_killed, "no list was signed");
    assert_eq!(ended(&mut begun).await["status"], "failure");
    let page = begun.browser.get("/credentials").await.expect("the page");
    assert_eq!((page.matches(">issued<").count(), page.matches(">revoked<").count()), (0, 2), "{page}");
    let list = test.path("list.crl");
    let url = format!("{}/pki/crl/issuing.crl", test.world.public_url);
    let der = reqwest::get(url).await.expect("an answer").bytes().await.expect("a list");
    std::fs::write(&list, der).expect("written");
    let text = crate::support::run(
        "openssl",
        &["crl", "-inform", "DER", "-noout", "-text", "-in", list.to_str().expect("a path")],
        &[],
    );
    assert_eq!(text.matches("Serial Number:").count(), 2, "{text}");
    lint_lists([list.as_path()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_without_a_proof_are_withdrawn_on_sqlite() {
    withdrawing(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_without_a_proof_are_withdrawn_on_postgres() {
    withdrawing(Database::Postgres).await;
}

/// The clock of the portal's machine jumps while a card is made: what comes out is whole, or nothing.
async fn clock_jumps_by(database: Database, offset: &str) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let killed = [("SEALWRIGHT_FAIL_POINT", "agent.install.before")];
    let ended_there = test.agent_with(&code, Some(&test.pin_file), &killed).converse(&mut begun).await;
    assert!(!ended_there.is_ok_and(|ended| ended.success()), "the agent was not killed");
    let number = test.list_number("before.crl").await;
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&crate::support::later(offset)).await.expect("restarted");
    if matches!(database, Database::Postgres) {
        // The database's clock has not jumped with it: this node signs nothing until its own is right.
        let carl = Client::sign_in(&test, "carl", "ca-operator").await;
        let (_, started) = carl.post("/api/v1/instances", "{\"workflow\":\"issue-crl\"}").await;
        let path = format!("/api/v1/instances/{}", started["id"].as_str().expect("an id"));
        carl.until(&path, |view| view["state"] == "key-offline").await;
        assert!(test.log().contains("it signs nothing"), "{}", test.log());
        test.world.kill_portal().await.expect("killed");
        test.world.restart_portal(&[]).await.expect("restarted");
    }
    let finished = tokio::time::timeout(LIMIT, async {
        // The deadlines of what was asked may be over; then the agent is told so.
        let _finished = test.agent(&code).converse(&mut begun).await;
        sign_in_again(&test, &mut begun).await;
        ended(&mut begun).await
    });
    let view = finished.await.unwrap_or_else(|_| panic!("{offset}: nothing ended in time\n{}", test.log()));
    let list = begun.browser.get("/api/v1/certificates").await.expect("the list");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let issued: Vec<&Value> =
        list["certificates"].as_array().expect("a list").iter().filter(|of| of["status"] == "issued").collect();
    match view["status"].as_str() {
        Some("success") => assert_eq!(issued.len(), 2, "{list:#}"),
        // What did not get onto its card is withdrawn, if it would be valid still; the other slot may have been finished.
        Some("failure" | "cancelled") => {
            let valid = issued.iter().filter(|of| of["not_after"].as_str() > view["changed_at"].as_str()).count();
            let proved = test.audited("key-proved").await.len();
            assert!(valid == proved && proved < 2, "{offset}: {view:#}\n{list:#}");
        }
        _ => panic!("{offset}: {view:#}"),
    }
    // One that begins in an hour, or in a year, is good for nobody: another one takes its place by itself.
    if offset.starts_with('-') {
        let renewed = tokio::time::timeout(LIMIT, async {
            while test.list_number("renewed.crl").await <= number {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        renewed.await.unwrap_or_else(|_| panic!("{offset}: the list is not renewed\n{}", test.log()));
    }
    // A list that is signed now has a greater number, whatever the clock says.
    let carl = Client::sign_in(&test, "carl", "ca-operator").await;
    let (_, started) = carl.post("/api/v1/instances", "{\"workflow\":\"issue-crl\"}").await;
    let path = format!("/api/v1/instances/{}", started["id"].as_str().expect("an id"));
    carl.until(&path, |view| view["status"] == "success").await;
    assert!(test.list_number("after.crl").await > number);
}

/// The session may have ended meanwhile.
async fn sign_in_again(test: &TestWorld, begun: &mut Begun) {
    let (browser, csrf) = journey::sign_in(&test.world, "alice", "user").await.expect("signed in");
    begun.browser = browser;
    begun.csrf = csrf;
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
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                for part in code.collect::<Vec<_>>().join("\n").split("fail_point!(").skip(1) {
                    found.extend(part.split('"').nth(1).map(str::to_owned));
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
fn every_fail_point_is_one_that_something_is_killed_at() {
    // Points that an undisturbed personalization does not pass, and the tests that are killed there.
    let elsewhere = [
        ("engine.timer", include_str!("directory.rs")),
        ("pki.issue-crl", include_str!("crashes.rs")),
        ("directory.compare-people", include_str!("people.rs")),
        ("directory.unpublish-certificates", include_str!("people.rs")),
        ("directory.recheck-departure", include_str!("people.rs")),
    ];
    for (point, test) in elsewhere {
        assert!(
            test.contains(&format!("(\"SEALWRIGHT_FAIL_POINT\".to_owned(), \"{point}\""))
                || test.contains(&format!("(\"SEALWRIGHT_FAIL_POINT\", \"{point}:"))
        );
    }
    let killed: Vec<&str> = chaos::PORTAL_POINTS.iter().map(|point| point.split(':').next().expect("a name")).collect();
    for point in points_of("src", &["agent", "workflow", "pki", "protocol"]) {
        let is_elsewhere = elsewhere.iter().any(|(known, _)| *known == point);
        assert!(killed.contains(&point.as_str()) || is_elsewhere, "nothing is killed at {point}");
    }
    let elsewhere = include_str!("drivers.rs");
    for point in points_of("src/agent", &[]) {
        let is_elsewhere = elsewhere.contains(&format!("\"{point}\""));
        assert!(chaos::AGENT_POINTS.contains(&point.as_str()) || is_elsewhere, "nothing is killed at {point}");
    }
}

#[test]
fn every_activity_and_job_and_commit_has_a_fail_point() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let subjects = std::fs::read_dir(root.join("activities")).expect("the activities");
    let folders = subjects.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    for entry in folders.flat_map(|folder| std::fs::read_dir(folder).expect("a subject")) {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a source");
        let performs = text.contains("async fn perform(") && !text.contains("type Performed = Infallible");
        assert!(!performs || text.contains("fail_point!("), "{} has an effect without a fail point", path.display());
        let is_one = [" Activity for ", " LocalActivity for ", " CardJob for "].iter().any(|of| text.contains(of));
        assert!(!is_one || text.contains("trials!"), "{} is not tried: `trials!`", path.display());
    }
    for entry in std::fs::read_dir(root.join("agent/jobs")).expect("the jobs") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a source");
        assert!(path.ends_with("mod.rs") || text.contains("fail_point!("), "{} has no fail point", path.display());
    }
    for file in ["store/database/single_writer.rs", "store/database/many_writers.rs"] {
        let text = std::fs::read_to_string(root.join(file)).expect("a source");
        assert!(text.contains("fail_point!(async \"store.commit\")"), "{file} commits without a fail point");
    }
}
