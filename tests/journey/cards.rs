//! Cards that are missing, foreign, somebody else's, pulled; PINs that are wrong or blocked.

use std::path::Path;

use sealwright_world::journey::{self, Begun};

use super::{assert_nothing_issued, assert_personalized};
use crate::on_either_database;
use crate::support::client::Client;
use crate::support::{Database, PIN, TestWorld, ended, later, new_code, self_signed, shows, sqlite, start_again, view};

on_either_database! {
    without_a_card_the_agent_asks_for_one_and_goes_on,
    a_card_that_never_comes_is_waited_for_half_an_hour,
    of_several_cards_the_person_picks_one,
    another_card_that_is_put_in_midway_is_not_written,
    somebody_elses_card_is_not_written,
    an_unknown_card_with_a_certificate_is_not_written,
    a_card_that_is_not_in_stock_is_not_written,
    a_wrong_pin_from_a_descriptor_is_tried_once_and_the_last_try_never,
    a_person_who_mistypes_the_pin_twice_is_not_let_to_block_the_card,
    a_card_with_a_blocked_pin_is_not_taken_over,
    the_last_try_of_a_factory_pin_is_not_spent,
    another_pin_than_in_an_attempt_that_was_cut_off_may_be_chosen,
    a_card_with_a_blocked_puk_is_not_taken_over,
    a_blank_card_that_somebody_else_manages_is_not_written,
    a_slot_with_a_valid_certificate_of_another_profile_is_not_overwritten,
    a_start_after_a_half_finished_card_makes_only_what_is_missing,
}

/// Talks until the page asks the person something; gives the page.
async fn until_asked(test: &TestWorld, begun: &mut Begun) -> String {
    let code = journey::offer(begun).await.expect("a code");
    let mut agent = test.agent(&code);
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

/// Alice's personalization up to a card whose secrets are replaced and whose first key is about to be made; gives the code.
async fn taken_over(test: &TestWorld, begun: &mut Begun) -> String {
    let code = journey::offer(begun).await.expect("a code");
    let killed = [("SEALWRIGHT_FAIL_POINT", "agent.generate.before")];
    let ended = test.agent_with(&code, Some(&test.pin_file), &killed).converse(begun).await;
    assert!(!ended.is_ok_and(|ended| ended.success()), "the agent was not killed");
    code
}

/// Somebody comes back to the page after the agent was closed: it does not say that it is connected, and offers a code.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_has_gone_is_not_said_to_be_connected() {
    let test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    taken_over(&test, &mut begun).await;
    let page = shows(&mut begun, "</strong> has been gone since ").await;
    assert!(page.contains("<button type=\"submit\">Get a new code</button>"), "{page}");
    let database = test.world.folder.join("sealwright.db");
    // An earlier release knew no presence.
    let earlier = "UPDATE instance SET changed_at = changed_at - 600000; \
        UPDATE pairing SET created_at = created_at - 570000, expires_at = expires_at - 570000, seen_at = NULL, gone_at = NULL";
    sqlite(&database, earlier);
    // Whoever took their time until the code was typed has an agent that came a moment ago.
    shows(&mut begun, "</strong> is connected.").await;
    sqlite(&database, "UPDATE pairing SET expires_at = expires_at - 600000");
    let page = shows(&mut begun, "</strong> has not answered for some minutes.").await;
    assert!(page.contains("<button type=\"submit\">Get a new code</button>"), "{page}");
    // With a new code it is another one.
    let code = new_code(&mut begun).await.expect("a new code");
    let ended = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(ended.success(), "{}", ended.said);
    assert_personalized(&test, &mut begun).await;
}

async fn without_a_card_the_agent_asks_for_one_and_goes_on(database: Database) {
    let mut test = TestWorld::start(database).await;
    test.world.remove(0).await.expect("removed");
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    let mut asked = false;
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            agent.compare(&mut begun, number.trim()).await.expect("the same number");
        }
        if line == "Please put the card into the reader." {
            asked = true;
            test.world.insert(0).expect("inserted");
        }
    }
    assert!(asked);
    assert_personalized(&test, &mut begun).await;
}

/// Nobody goes on in time: the page says so, nothing is left open, and the person may begin anew.
async fn a_card_that_never_comes_is_waited_for_half_an_hour(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let path = format!("/api/v1/instances/{}", begun.instance);
    let alice = Client::sign_in(&test, "alice", "user").await;
    alice.until(&path, |view| view["state"] == "insert-card").await;
    for (offset, expected) in [("+20m", "running"), ("+31m", "cancelled")] {
        test.world.kill_portal().await.expect("killed");
        test.world.restart_portal(&later(offset)).await.expect("restarted");
        let view = alice.until(&path, |view| view["status"] == expected).await;
        let state = if expected == "running" { "insert-card" } else { "abandoned" };
        assert_eq!(view["state"], state, "{offset}");
    }
    shows(&mut begun, "Not finished in time.").await;
    assert_nothing_issued(&mut begun, "cancelled").await;
    let before = begun.instance.clone();
    start_again(&mut begun).await;
    assert_ne!(begun.instance, before);
}

async fn of_several_cards_the_person_picks_one(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    // Nobody is there to ask: no card is guessed.
    let alone = test.agent_at_both_readers(&code, Some(&test.pin_file)).converse(&mut begun).await.expect("an end");
    assert!(alone.said.contains("There are several cards. Take the others out"), "{}", alone.said);
    let code = new_code(&mut begun).await.expect("a code");
    let mut agent = test.agent_at_both_readers(&code, None);
    let mut listed = Vec::new();
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            agent.compare(&mut begun, number.trim()).await.expect("the same number");
            agent.answer(&format!("3\n2\n{PIN}\n{PIN}\n")).await.expect("typed");
        }
        if line.contains(" in Virtual reader") {
            listed.push(line);
        }
    }
    assert_eq!(
        listed,
        ["  1: card 20000001 in Virtual reader 0 00 00", "  2: card 20000002 in Virtual reader 0 00 01"]
    );
    // The second card is the one that was written.
    test.world.readers.swap(0, 1);
    let status = test.piv(&["-a", "status"]).await;
    assert!(status.contains("Slot 9a") && status.contains("Slot 9c"), "{status}");
    assert_eq!(ended(&mut begun).await["status"], "success");
}

async fn another_card_that_is_put_in_midway_is_not_written(database: Database) {
    let mut test = TestWorld::start(database).await;
    test.world.remove(1).await.expect("removed");
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent_at_both_readers(&code, Some(&test.pin_file));
    agent.until(&mut begun, "Making a key on the card").await.expect("a job");
    // Out with hers, in with another one: each job is for the card that it was begun with.
    test.world.remove(0).await.expect("removed");
    test.world.insert(1).expect("inserted");
    agent.until(&mut begun, "Please put the card 20000001 into the reader.").await.expect("asked for hers");
    test.world.readers.swap(0, 1);
    let status = test.piv(&["-a", "status"]).await;
    assert!(!status.contains("Slot 9a") && !status.contains("Slot 9c"), "{status}");
    let said = test.piv(&["-a", "verify-pin", "-P", "123456"]).await;
    assert!(said.contains("Successfully verified PIN"), "{said}");
    test.world.readers.swap(0, 1);
    test.world.insert(0).expect("inserted");
    while agent.line().await.expect("a line").is_some() {}
    assert!(agent.end().await.expect("an end").success());
    assert_personalized(&test, &mut begun).await;
}

async fn somebody_elses_card_is_not_written(database: Database) {
    let test = TestWorld::start(database).await;
    let mut alice = test.alice().await;
    let code = journey::offer(&mut alice).await.expect("a code");
    assert!(test.agent(&code).converse(&mut alice).await.expect("a conversation").success());
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    let page = until_asked(&test, &mut bob).await;
    assert!(page.contains("This card belongs to somebody else. Insert your own card, then try again."), "{page}");
    // While bob is asked for another one, it is not kept from alice.
    let mut again = test.alice().await;
    let code = journey::offer(&mut again).await.expect("a code");
    let done = test.agent(&code).converse(&mut again).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    assert_personalized(&test, &mut again).await;
}

async fn an_unknown_card_with_a_certificate_is_not_written(database: Database) {
    let test = TestWorld::start(database).await;
    let pem = self_signed(&test.path(""), "foreign", "/CN=x");
    test.piv(&["-a", "import-certificate", "-s", "9a", "-i", &pem]).await;
    let mut alice = test.alice().await;
    let page = until_asked(&test, &mut alice).await;
    assert!(page.contains("This card cannot be used"), "{page}");
    let read = test.path("read.pem").display().to_string();
    test.piv(&["-a", "read-certificate", "-s", "9a", "-o", &read]).await;
    let text = |path: &str| std::fs::read_to_string(path).expect("a certificate");
    assert_eq!(text(&read).trim(), text(&pem).trim());
}

async fn a_card_that_is_not_in_stock_is_not_written(database: Database) {
    let test = TestWorld::start_with(database, &[], "stock = [\"1\"]").await;
    let mut begun = test.alice().await;
    let page = until_asked(&test, &mut begun).await;
    assert!(page.contains("This card cannot be used"), "{page}");
    let step = journey::field(&page, "step").expect("a step");
    let csrf = begun.csrf.clone();
    let fields = [("csrf", csrf.as_str()), ("step", step.as_str()), ("action", "stop")];
    begun.browser.post(&format!("{}/act", begun.path), &fields).await.expect("stopped");
    assert_nothing_issued(&mut begun, "cancelled").await;
    let status = test.piv(&["-a", "status"]).await;
    assert!(!status.contains("Slot 9a"), "{status}");
}

async fn a_wrong_pin_from_a_descriptor_is_tried_once_and_the_last_try_never(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let mut code = taken_over(&test, &mut begun).await;
    let wrong = test.pin_file("11223344");
    for left in ["2", "1"] {
        let ended = test.agent_with(&code, Some(&wrong), &[]).converse(&mut begun).await.expect("a conversation");
        assert!(ended.said.contains("The card is not ready."), "{}", ended.said);
        assert_nothing_issued(&mut begun, "failure").await;
        shows(&mut begun, "the PIN was wrong, or none was given").await;
        let status = test.piv(&["-a", "status"]).await;
        assert!(status.contains(&format!("PIN tries left:\t{left}")), "{status}");
        code = start_again(&mut begun).await;
    }
    // Now only the last try is left: not even the right PIN is tried.
    assert!(!test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_nothing_issued(&mut begun, "failure").await;
    shows(&mut begun, "Ask the help desk to unblock the card").await;
    let status = test.piv(&["-a", "status"]).await;
    assert!(status.contains("PIN tries left:\t1"), "{status}");
    // The person's own program may spend it; then everything is good again.
    test.piv(&["-a", "verify-pin", "-P", PIN]).await;
    let code = start_again(&mut begun).await;
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_personalized(&test, &mut begun).await;
}

async fn a_person_who_mistypes_the_pin_twice_is_not_let_to_block_the_card(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = taken_over(&test, &mut begun).await;
    let mut agent = test.agent_with(&code, None, &[]);
    agent.answer("11223344\n44332211\n").await.expect("typed");
    assert!(!agent.converse(&mut begun).await.expect("a conversation").success());
    assert_nothing_issued(&mut begun, "failure").await;
    shows(&mut begun, "Ask the help desk to unblock the card").await;
    let status = test.piv(&["-a", "status"]).await;
    assert!(status.contains("PIN tries left:\t1"), "{status}");
}

/// Runs yubico-piv-tool, which fails as it should.
fn fails(test: &TestWorld, arguments: &[&str]) {
    let output = std::process::Command::new("yubico-piv-tool")
        .args(["-r", test.world.readers[0].as_str()])
        .args(arguments)
        .env("PCSCLITE_CSOCK_NAME", &test.world.socket)
        .output()
        .expect("yubico-piv-tool (make test installs it)");
    assert!(!output.status.success(), "{output:?}");
}

/// Gives wrong PINs to a factory-fresh card until so many tries are left.
async fn waste_tries(test: &TestWorld, left: u8) {
    while !test.piv(&["-a", "status"]).await.contains(&format!("PIN tries left:\t{left}")) {
        fails(test, &["-a", "verify-pin", "-P", "99999999"]);
    }
}

async fn a_card_with_a_blocked_puk_is_not_taken_over(database: Database) {
    let test = TestWorld::start(database).await;
    for _ in 0..4 {
        fails(&test, &["-a", "change-puk", "-P", "99999999", "-N", "88888888"]);
    }
    let mut begun = test.alice().await;
    let page = until_asked(&test, &mut begun).await;
    assert!(page.contains("The card did not accept its new secrets"), "{page}");
    assert!(test.audited("certificate-intended").await.is_empty());
}

const FACTORY_MANAGEMENT_KEY: &str = "010203040506070801020304050607080102030405060708";

/// A card that is blank, and not as the factory makes it: whoever has set its management key manages it.
async fn a_blank_card_that_somebody_else_manages_is_not_written(database: Database) {
    let test = TestWorld::start(database).await;
    let key = "00112233445566778899aabbccddeeff0011223344556677";
    let (factory, theirs) = (format!("-k{FACTORY_MANAGEMENT_KEY}"), format!("-k{key}"));
    test.piv(&[&factory, "-a", "set-mgm-key", "-n", key]).await;
    let mut begun = test.alice().await;
    let page = until_asked(&test, &mut begun).await;
    assert!(page.contains("This card cannot be used"), "{page}");
    // It is managed with that key still.
    test.piv(&[&theirs, "-a", "set-chuid"]).await;
    assert!(test.audited("card-registered").await.is_empty());
}

/// What the portal knows of a card holds, whatever the card says.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_was_reported_or_is_worn_out_is_not_written() {
    let mut test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    ended(&mut begun).await;
    let database = test.world.folder.join("sealwright.db");
    for state in ["lost", "stolen", "damaged", "terminated", "never-heard-of"] {
        test.world.kill_portal().await.expect("killed");
        sqlite(&database, &format!("UPDATE card SET state = '{state}'"));
        test.world.restart_portal(&[]).await.expect("restarted");
        let mut again = test.alice().await;
        let page = until_asked(&test, &mut again).await;
        assert!(page.contains("This card cannot be used"), "{state}: {page}");
        let (step, csrf) = (journey::field(&page, "step").expect("a step"), again.csrf.clone());
        let fields = [("csrf", csrf.as_str()), ("step", step.as_str()), ("action", "stop")];
        again.browser.post(&format!("{}/act", again.path), &fields).await.expect("stopped");
        assert_eq!(ended(&mut again).await["status"], "cancelled", "{state}");
    }
    assert_eq!(test.audited("certificate-issued").await.len(), 2);
}

/// Whatever is in the reader: the person is told what to do, and with a good card it goes on.
async fn a_card_that_does_not_work_is_named(fault: &str, text: &str) {
    let mut test = TestWorld::start(Database::Sqlite).await;
    test.world.remove(0).await.expect("removed");
    test.world.insert_as(0, &["--fault".to_owned(), fault.to_owned()]).expect("inserted");
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.until(&mut begun, &format!("The card in {} {text}", test.world.readers[0])).await.expect("named");
    test.world.remove(0).await.expect("removed");
    agent.until(&mut begun, "Please put the card into the reader.").await.expect("asked for");
    test.world.insert(0).expect("inserted");
    while agent.line().await.expect("a line").is_some() {}
    assert!(agent.end().await.expect("an end").success());
    assert_personalized(&test, &mut begun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_without_the_application_is_named() {
    a_card_that_does_not_work_is_named("no-application", "is of a kind that is not supported.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_card_is_named() {
    a_card_that_does_not_work_is_named("mute", "does not answer.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_answers_gibberish_is_named() {
    a_card_that_does_not_work_is_named("gibberish", "is of a kind that is not supported.").await;
}

/// It stays the card that it was: what it is known by is not written anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_without_a_serial_number_is_known_by_its_chuid() {
    let mut test = TestWorld::start(Database::Sqlite).await;
    test.world.remove(0).await.expect("removed");
    test.world.insert_as(0, &["--unnumbered".to_owned()]).expect("inserted");
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    assert_eq!(ended(&mut begun).await["status"], "success");
}

async fn a_card_with_a_blocked_pin_is_not_taken_over(database: Database) {
    let test = TestWorld::start(database).await;
    waste_tries(&test, 0).await;
    let mut begun = test.alice().await;
    let page = until_asked(&test, &mut begun).await;
    assert!(page.contains("The card did not accept its new secrets"), "{page}");
    assert!(page.contains("ask the help desk for another card"), "{page}");
}

async fn the_last_try_of_a_factory_pin_is_not_spent(database: Database) {
    let test = TestWorld::start(database).await;
    waste_tries(&test, 1).await;
    let mut begun = test.alice().await;
    let page = until_asked(&test, &mut begun).await;
    assert!(page.contains("The card did not accept its new secrets"), "{page}");
    let status = test.piv(&["-a", "status"]).await;
    assert!(status.contains("PIN tries left:\t1"), "{status}");
}

/// Nobody remembers the PIN of an attempt that was cut off: another one is chosen, whether the PUK was replaced by then or not.
async fn another_pin_than_in_an_attempt_that_was_cut_off_may_be_chosen(database: Database) {
    for point in ["agent.replace.pin", "agent.replace.puk"] {
        let test = TestWorld::start(database).await;
        let mut begun = test.alice().await;
        let code = journey::offer(&mut begun).await.expect("a code");
        let forgotten = test.pin_file("11223344");
        let killed = [("SEALWRIGHT_FAIL_POINT", point)];
        let ended = test.agent_with(&code, Some(&forgotten), &killed).converse(&mut begun).await;
        assert!(!ended.is_ok_and(|ended| ended.success()), "the agent was not killed");
        // The agent of another code knows nothing of what the first one has done.
        let code = new_code(&mut begun).await.expect("a code");
        let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
        assert!(done.success(), "{point}: {}", done.said);
        assert_personalized(&test, &mut begun).await;
    }
}

async fn a_start_after_a_half_finished_card_makes_only_what_is_missing(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    // Killed when the second slot's key is about to be proved; then the wrong PIN is given.
    let killed = [("SEALWRIGHT_FAIL_POINT", "agent.prove.before:2")];
    let first = test.agent_with(&code, Some(&test.pin_file), &killed).converse(&mut begun).await;
    assert!(!first.is_ok_and(|ended| ended.success()), "the agent was not killed");
    let wrong = test.pin_file("11223344");
    let second = test.agent_with(&code, Some(&wrong), &[]).converse(&mut begun).await.expect("a conversation");
    assert!(!second.success());
    let half = ended(&mut begun).await;
    assert_eq!(half["status"], "failure", "{half:#}");
    let page = begun.browser.get("/credentials").await.expect("the page");
    assert_eq!((page.matches(">issued<").count(), page.matches(">revoked<").count()), (1, 1), "{page}");
    // The second one was written; that its key did not prove itself is another matter.
    let noted = (test.audited("certificate-installed").await.len(), test.audited("key-proved").await.len());
    assert_eq!(noted, (2, 1));
    let socket: &Path = &test.world.socket;
    assert!(socket.exists());
    let code = start_again(&mut begun).await;
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    // The first slot's certificate is the one of before.
    let whole = view(&mut begun).await;
    let made = |view: &serde_json::Value| {
        let parts = view["tree"].as_array().expect("a tree").clone();
        parts.iter().filter(|part| part["workflow"] == "issue-certificate").count()
    };
    assert_eq!((made(&half), made(&whole)), (2, 1));
    assert_personalized(&test, &mut begun).await;
}

async fn a_slot_with_a_valid_certificate_of_another_profile_is_not_overwritten(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    // From now on another profile goes into the slot.
    let config = test.world.folder.join("sealwright.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, text.replace("smartcard-signature", "smartcard-signature-2")).expect("written");
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&[]).await.expect("restarted");
    let code = start_again(&mut begun).await;
    assert!(!test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_eq!(ended(&mut begun).await["status"], "failure");
    let page = shows(&mut begun, "another valid certificate there, which is never overwritten").await;
    assert!(page.contains("Ask the help desk to revoke it first."), "{page}");
    let page = begun.browser.get("/credentials").await.expect("the page");
    assert_eq!(page.matches(">issued<").count(), 2, "{page}");
}
