//! The journey on OpenLDAP over StartTLS: people as it knows them, a server that is down, certificates that are published.

use std::time::Duration;

use sealwright_world::journey::{self, Begun};
use sealwright_world::world::ForeignDirectory;

use super::assert_personalized;
use crate::on_either_database;
use crate::support::slapd::{ADMIN, BASE, Slapd};
use crate::support::{Database, TestWorld, ended, later, shows, sqlite, view};

on_either_database! {
    a_directory_that_was_down_is_asked_again,
    certificates_are_published_in_openldap,
    people_that_the_directory_does_not_know_for_certain_are_told_so,
    who_stops_between_two_tries_is_not_kept_waiting,
    who_loses_the_group_loses_the_role,
    a_role_outlives_its_directory_by_half_an_hour,
}

pub async fn start(database: Database) -> (TestWorld, Slapd, tempfile::TempDir) {
    start_with_approvals(database, 0).await
}

/// A portal on OpenLDAP, where so many RA operators decide on signature certificates.
pub async fn start_with_approvals(database: Database, approvals: u32) -> (TestWorld, Slapd, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let slapd = Slapd::start(folder.path()).await;
    let section = format!(
        "servers = [\"{}\"]\nca-file = \"{}\"\nbind-dn = \"{ADMIN}\"\nbind-password-file = \"{}\"\nbase = \"{BASE}\"",
        slapd.url,
        slapd.ca_file.display(),
        slapd.password_file.display()
    );
    let groups = format!("ou=groups,{BASE}");
    let logins = ["alice", "bob", "ida", "twin", "nobody", "carl", "rita"].map(str::to_owned).to_vec();
    let directory = ForeignDirectory { section, groups, logins };
    let test = TestWorld::start_on(database, directory, approvals).await;
    (test, slapd, folder)
}

/// Changes alice's entry.
pub fn set(slapd: &Slapd, change: &str) {
    slapd.modify(&format!("dn: uid=alice,ou=people,{BASE}\nchangetype: modify\n{change}\n"));
}

/// Alice's card, made.
pub async fn personalized(test: &TestWorld) -> Begun {
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    begun
}

async fn certificates_are_published_in_openldap(database: Database) {
    let (test, slapd, _folder) = start(database).await;
    let mut begun = personalized(&test).await;
    assert_personalized(&test, &mut begun).await;
    assert_eq!(slapd.search("(uid=alice)", "userCertificate").matches("userCertificate;binary:: ").count(), 2);
}

async fn people_that_the_directory_does_not_know_for_certain_are_told_so(database: Database) {
    let (test, slapd, _folder) = start(database).await;
    slapd.modify(&format!(
        "dn: uid=carl,ou=people,{BASE}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    ));
    for login in ["nobody", "twin", "carl"] {
        let refused = journey::sign_in(&test.world, login, "user").await.err().expect("refused").to_string();
        assert!(refused.contains("403"), "{login}: {refused}");
    }
    assert_eq!(test.audited("role-refused").await.len(), 3);
    let mut begun = journey::begin(&test.world, "ida").await.expect("begun");
    assert_eq!(ended(&mut begun).await["status"], "failure");
    shows(&mut begun, "Your directory entry is missing information that a certificate needs.").await;
    // Known when they signed in, and gone when they are looked up.
    slapd.modify(&format!("dn: uid=ida,ou=people,{BASE}\nchangetype: delete\n"));
    let csrf = begun.csrf.clone();
    begun.path = begun.browser.post("/start/personalize", &[("csrf", &csrf)]).await.expect("started");
    shows(&mut begun, "The directory has no entry for you, or more than one. Ask the help desk.").await;
}

/// Down when the person is looked up; the portal is killed when it is about to try again.
async fn a_directory_that_was_down_is_asked_again(database: Database) {
    let (mut test, mut slapd, _folder) = start(database).await;
    let (browser, csrf) = journey::sign_in(&test.world, "alice", "user").await.expect("signed in");
    slapd.stop();
    test.world.kill_portal().await.expect("killed");
    let killed = [("SEALWRIGHT_FAIL_POINT".to_owned(), "engine.timer".to_owned())];
    test.world.restart_portal(&killed).await.expect("restarted");
    // Nobody is given a role by a directory that does not answer; who has one keeps it for a while.
    let refused = journey::sign_in(&test.world, "carl", "user").await.err().expect("refused").to_string();
    assert!(refused.contains("503"), "{refused}");
    let mut begun = journey::begin_as(&test.world, browser, csrf).await.expect("begun");
    // The page says what happens while it waits.
    shows(&mut begun, "Looking you up in the directory").await;
    test.until_portal_ends().await;
    slapd.restart().await;
    test.world.restart_portal(&[]).await.expect("restarted");
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_personalized(&test, &mut begun).await;
}

/// The clock was a year ahead, here by hand, and is right again: nobody waits for that year.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_a_wrong_clock_has_put_off_is_made() {
    let (mut test, mut slapd, _folder) = start(Database::Sqlite).await;
    let (browser, csrf) = journey::sign_in(&test.world, "alice", "user").await.expect("signed in");
    slapd.stop();
    let mut begun = journey::begin_as(&test.world, browser, csrf).await.expect("begun");
    shows(&mut begun, "an attempt failed (unavailable)").await;
    test.world.kill_portal().await.expect("killed");
    let put_off = "UPDATE timer SET due_at = due_at + 31536000000 WHERE timer = 'retry'";
    sqlite(&test.world.folder.join("sealwright.db"), put_off);
    slapd.restart().await;
    test.world.restart_portal(&[]).await.expect("restarted");
    journey::offer(&mut begun).await.expect("a code");
    assert_eq!(view(&mut begun).await["state"], "insert-card");
}

/// A directory that is away gets nothing stuck; what another failure has got stuck is put so into the database here.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_still_is_sent_on_by_an_operator() {
    let (mut test, mut slapd, _folder) = start(Database::Sqlite).await;
    let (browser, csrf) = journey::sign_in(&test.world, "alice", "user").await.expect("signed in");
    slapd.stop();
    let mut begun = journey::begin_as(&test.world, browser, csrf).await.expect("begun");
    let page = shows(&mut begun, "The directory does not answer, or refuses the portal since").await;
    assert!(page.contains("It is tried again by itself, next "), "{page}");
    test.world.kill_portal().await.expect("killed");
    sqlite(&test.world.folder.join("sealwright.db"), STUCK);
    test.world.restart_portal(&[]).await.expect("restarted");
    let page = shows(&mut begun, "This cannot go on by itself. It is on the operators").await;
    assert!(!page.contains("Try again"), "{page}");
    // Alice has no right to repair.
    let step = view(&mut begun).await["step"].to_string();
    let (act, csrf) = (format!("{}/act", begun.path), begun.csrf.clone());
    let resume = [("csrf", csrf.as_str()), ("step", step.as_str()), ("action", "resume")];
    assert!(begun.browser.post(&act, &resume).await.is_err());
    slapd.restart().await;
    let (mut carl, csrf) = journey::sign_in(&test.world, "carl", "ca-operator").await.expect("signed in");
    let home = carl.get("/").await.expect("the page");
    assert!(home.contains("<h2>Stuck</h2>"), "{home}");
    assert!(home.contains("The directory does not answer, or refuses the portal."), "{home}");
    assert!(home.contains("Try all again"), "{home}");
    let page = carl.get(&begun.path).await.expect("the page");
    assert!(page.contains("Try again") && page.contains("an attempt failed (unavailable)"), "{page}");
    assert!(page.contains("See that its servers run"), "{page}");
    let done = carl.post("/instances/resume", &[("csrf", &csrf)]).await.expect("resumed");
    let home = carl.get(&done).await.expect("the page");
    assert!(home.contains("1 tried again.") && !home.contains("<h2>Stuck</h2>"), "{home}");
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_personalized(&test, &mut begun).await;
}

/// Every instance that runs is stuck at its present step.
const STUCK: &str = "DELETE FROM timer WHERE timer = 'retry'; DELETE FROM work; \
    UPDATE instance SET status = 'stuck', document = json_set(document, '$.status', 'stuck', \
    '$.waiting', json('{\"operator\":{\"class\":\"unavailable\"}}')) WHERE status = 'running';";

async fn who_stops_between_two_tries_is_not_kept_waiting(database: Database) {
    let (test, mut slapd, _folder) = start(database).await;
    let (browser, csrf) = journey::sign_in(&test.world, "alice", "user").await.expect("signed in");
    slapd.stop();
    let mut begun = journey::begin_as(&test.world, browser, csrf).await.expect("begun");
    // Between the fourth try and the fifth are sixteen seconds, or a fifth less.
    let (path, pause) = (format!("/api/v1/instances/{}", begun.instance), Duration::from_millis(50));
    let has_failed = |view: &str| view.matches("\"event\":\"failed\"").count() == 4;
    begun.browser.until(&path, Duration::from_secs(60), pause, has_failed).await.expect("four tries");
    let step = view(&mut begun).await["step"].to_string();
    let csrf = begun.csrf.clone();
    let stop = [("csrf", csrf.as_str()), ("step", step.as_str()), ("action", "cancel")];
    begun.browser.post(&format!("{}/act", begun.path), &stop).await.expect("stopped");
    let ended = tokio::time::timeout(Duration::from_secs(8), ended(&mut begun)).await.expect("an end at once");
    assert_eq!(ended["status"], "cancelled", "{ended:#}");
}

async fn who_loses_the_group_loses_the_role(database: Database) {
    let (mut test, slapd, _folder) = start(database).await;
    let (mut carl, _) = journey::sign_in(&test.world, "carl", "ca-operator").await.expect("signed in");
    assert!(carl.get("/").await.expect("the page").contains("Publish a revocation list"));
    let group = format!("cn=ca-operators,ou=groups,{BASE}");
    slapd.modify(&format!("dn: {group}\nchangetype: modify\nreplace: member\nmember: uid=alice,ou=people,{BASE}\n"));
    // Whose account is disabled loses every role, also the one that everybody has.
    let (mut alice, _) = journey::sign_in(&test.world, "alice", "user").await.expect("signed in");
    slapd.modify(&format!(
        "dn: uid=alice,ou=people,{BASE}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
    ));
    // Five minutes later the handler is asked again.
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&later("+6m")).await.expect("restarted");
    let asked = carl.get("/").await.expect_err("a role").to_string();
    assert!(asked.contains("303"), "{asked}");
    assert!(carl.get("/role").await.expect("the page").contains("Choose your role"));
    let asked = alice.get("/").await.expect_err("a role").to_string();
    assert!(asked.contains("303"), "{asked}");
    assert_eq!(test.audited("role-lost").await.len(), 2);
}

/// From the first time that it is asked for in vain, however long the person was away before, and whether or not the portal was restarted.
async fn a_role_outlives_its_directory_by_half_an_hour(database: Database) {
    let (mut test, mut slapd, _folder) = start(database).await;
    let (mut carl, _) = journey::sign_in(&test.world, "carl", "ca-operator").await.expect("signed in");
    slapd.stop();
    for (offset, keeps) in [("+40m", true), ("+68m", true), ("+71m", false)] {
        test.world.kill_portal().await.expect("killed");
        test.world.restart_portal(&later(offset)).await.expect("restarted");
        assert_eq!(carl.get("/").await.is_ok(), keeps, "{offset}");
    }
    assert_eq!(test.audited("role-lost").await.len(), 1);
}
