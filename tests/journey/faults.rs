//! A full disk, and writes and flushes that fail, at the portal, at the agent and below the database, and a network that falls silent: nothing is
//! lost and nothing done twice.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sealwright_world::journey::{self, Begun};

use super::assert_personalized;
use crate::support::strace::{Fault, Strace, count};
use crate::support::wire::Wire;
use crate::support::{Database, TestWorld, ended, run, try_new_code};

/// Nothing takes longer, whatever fails.
const LIMIT: Duration = Duration::from_secs(200);

/// Tries until it is done: a person does, whom a page tells that it did not work.
async fn until_done<T>(mut attempt: impl AsyncFnMut() -> anyhow::Result<T>) -> T {
    let mut tries = 0;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) if tries == 100 => panic!("it did not work a hundred times: {error}"),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Alice's way while something fails again and again. Each agent is told which of its calls is to fail.
async fn personalize(test: &TestWorld, mut hear: impl FnMut(&str)) -> Begun {
    let journey = async {
        let mut begun = until_done(async || journey::begin(&test.world, "alice").await).await;
        let mut code = until_done(async || journey::offer(&mut begun).await).await;
        for attempt in 0..30 {
            // The first two are killed before there is a job; the jobs are another thread's.
            let number = if attempt < 2 { attempt + 1 } else { attempt - 1 }.to_string();
            let mut agent = test.agent_with(&code, Some(&test.pin_file), &[("FAILING_CALL", &number)]);
            let ended = agent.converse_and_hear(&mut begun, &mut hear).await;
            if ended.is_ok_and(|ended| ended.success()) {
                break;
            }
            // The same code again, and a new one from the page when that is spent.
            if attempt % 2 == 1
                && let Some(fresh) = until_done(async || try_new_code(&mut begun).await).await
            {
                code = fresh;
            }
        }
        begun
    };
    tokio::time::timeout(LIMIT, journey).await.expect("an end in time")
}

/// Each thread counts its own calls, and after an error of a transaction another thread opens the database anew: so many go well, then one fails,
/// in the middle of a transaction or at its end.
async fn a_portal_meets(call: &str, error: &str, when: &str) {
    let test = TestWorld::start(Database::Sqlite).await;
    let strace =
        Strace::attach(test.world.portal_id(), Fault { call, error, when, path: None }, &test.path("strace")).await;
    let mut begun = personalize(&test, |_| {}).await;
    let failed = strace.detach();
    assert!(failed > 0, "no call has failed");
    ended(&mut begun).await;
    assert_personalized(&test, &mut begun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_the_portal_loses_and_doubles_nothing() {
    a_portal_meets("pwrite64", "ENOSPC", "51").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_disk_at_the_portal_loses_and_doubles_nothing() {
    a_portal_meets("pwrite64", "EIO", "97+1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_second_flush_that_fails_loses_and_doubles_nothing() {
    a_portal_meets("fsync", "EIO", "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_finds_a_full_disk_loses_and_doubles_nothing() {
    a_portal_meets("fsync", "ENOSPC", "7").await;
}

/// How many calls are made to fail at most, each by itself.
const CALLS: usize = 40;

/// The first call fails, and then the second one of those that follow, and so on up to the last of a round, whatever transaction it is of; and
/// round again. So many fail at least.
async fn each_call_fails(call: &str, error: &str, round: usize, least: usize) {
    let test = TestWorld::start(Database::Sqlite).await;
    let (process, log) = (test.world.portal_id(), test.path("strace"));
    let mut failed = 0;
    let sweep = async {
        for number in 0..CALLS {
            let when = (1 + number % round).to_string();
            let strace = Strace::attach(process, Fault { call, error, when: &when, path: None }, &log).await;
            while strace.failed() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            failed += strace.detach();
        }
        // The disk is well from here on.
        std::future::pending::<()>().await;
    };
    let mut begun = tokio::select! {
        begun = personalize(&test, |_| {}) => begun,
        () = sweep => unreachable!("it does not end"),
    };
    ended(&mut begun).await;
    assert_personalized(&test, &mut begun).await;
    assert!(failed >= least, "{failed} calls have failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_one_write_after_another_loses_and_doubles_nothing() {
    each_call_fails("pwrite64", "ENOSPC", CALLS, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_disk_at_one_flush_after_another_loses_and_doubles_nothing() {
    each_call_fails("fsync", "EIO", 3, 10).await;
}

/// One call of each agent fails: of the first two one before they are paired, of the others the first, the second, and so on of what their jobs note.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_every_write_of_the_agent_loses_nothing() {
    for (call, error) in [("write", "ENOSPC"), ("fsync", "ENOSPC"), ("fsync", "EIO"), ("rename", "ENOSPC")] {
        let mut test = TestWorld::start(Database::Sqlite).await;
        let log = test.path("strace");
        // Much is written beside what is noted, and only that is to fail. The script is called with `connect CODE --portal URL`; the name of a
        // code's journal is made of the two (`Journal::open`), and it is written under this one before it has its own.
        let name = "JOURNAL=$(printf '%s\\n%s' \"$4\" \"$2\" | sha256sum | cut -c 1-32).new";
        let journal = test.world.folder.join("agent-state/$JOURNAL");
        let path = (call == "write").then_some(journal.as_path());
        let arguments = Fault { call, error, when: "$FAILING_CALL", path }.arguments(&log).join(" ");
        let script = test.path("agent");
        let agent = test.world.agent.display();
        let text = format!("#!/bin/sh\n{name}\nexec strace -A {arguments} '{agent}' \"$@\"\n");
        std::fs::write(&script, text).expect("written");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        test.world.agent = script;
        let mut begun = personalize(&test, |_| {}).await;
        assert!(count(&log) >= 5, "{call} has failed {} times with {error}", count(&log));
        assert_personalized(&test, &mut begun).await;
    }
}

/// A cable that was pulled, a computer that slept: nobody closes the connection. An agent that has nothing to say notices all the same, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_falls_silent_is_noticed() {
    let mut test = TestWorld::start(Database::Sqlite).await;
    let wire = Wire::start(&test.world.agent_url, |_| {}).await;
    wire.stands_between(&mut test);
    test.world.remove(0).await.expect("removed");
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, "Please put the card into the reader.").await.expect("asked for");
    wire.fall_silent();
    agent.until(&mut begun, "Reconnected.").await.expect("noticed");
    test.world.insert(0).expect("inserted");
    let ended = agent.converse(&mut begun).await.expect("a conversation");
    assert!(ended.success(), "{}", ended.said);
    assert_personalized(&test, &mut begun).await;
}

/// A server whose process dies with a full disk takes all its connections with it: once at each kind of job, when the agent is told of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_that_dies_at_every_kind_of_job_loses_and_doubles_nothing() {
    let test = TestWorld::start(Database::OwnPostgres).await;
    let server = test.database_process().expect("a server");
    let mut alive: BTreeSet<&str> = ["Reading", "Replacing", "Making", "Writing"].into();
    let mut begun = personalize(&test, |line| {
        let job = alive.iter().copied().find(|job| line.contains(job));
        if job.is_some_and(|_| kill_a_backend(server)) {
            alive.retain(|other| Some(*other) != job);
        }
    })
    .await;
    assert!(alive.is_empty(), "the server did not die at {alive:?}");
    ended(&mut begun).await;
    assert_personalized(&test, &mut begun).await;
}

/// Its journal cannot grow: the connection that finds this takes the server down, which begins again from what its journal holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_the_database_server_loses_and_doubles_nothing() {
    let test = TestWorld::start(Database::OwnPostgres).await;
    let server = test.database_process().expect("a server");
    let url = test.database_url().expect("a server");
    let segment = run("psql", &["-At", url, "-c", "SELECT pg_walfile_name(pg_current_wal_lsn())"], &[]);
    let journal = test.path("postgres/cluster/pg_wal").join(segment.trim());
    let fault = Fault { call: "pwrite64", error: "ENOSPC", when: "5", path: Some(&journal) };
    let strace = Strace::attach(server, fault, &test.path("strace")).await;
    // The connections that are made from here on have the fault.
    assert!(kill_a_backend(server), "nobody is connected");
    let mut begun = personalize(&test, |_| {}).await;
    let failed = strace.detach();
    assert!(failed > 0, "no call has failed");
    ended(&mut begun).await;
    assert_personalized(&test, &mut begun).await;
}

/// Kills a process of the server that serves a connection: the server ends all others then, and recovers from its log. There may be none.
fn kill_a_backend(server: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
    let serves = |id: &&str| {
        let line = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.contains("127.0.0.1")
    };
    let process = children.split_whitespace().find(serves).and_then(|id| id.parse().ok());
    process.is_some_and(|id| kill(Pid::from_raw(id), Signal::SIGKILL).is_ok())
}
