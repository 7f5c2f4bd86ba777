//! Codes: wrong, used, expired, redeemed by somebody else; and nothing before both sides have confirmed.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use sealwright::store::{Store, audits};
use sealwright_protocol::{Bytes, FromAgent, FromPortal};
use sealwright_world::journey::{self, Agent};

use super::assert_personalized;
use crate::on_both_databases;
use crate::support::wire::Wire;
use crate::support::{Database, TestWorld, go_on, later, new_code, shows, until_it_stands_still};

on_both_databases! {
    a_wrong_code_and_a_used_one_are_refused,
    the_link_of_the_page_is_enough,
    a_code_is_good_for_ten_minutes,
    a_confirmation_is_for_the_pairing_that_the_page_has_shown,
    somebody_elses_agent_gets_nothing_with_a_stolen_code,
    a_pairing_that_one_side_ends_is_over_on_the_other_at_once,
    an_unconfirmed_agent_does_not_outlive_its_connection,
    a_person_who_is_sent_somebody_elses_link_sees_whose_it_is,
    of_two_agents_with_one_card_the_later_one_goes_on,
    an_agent_that_is_not_the_one_it_says_is_refused,
}

/// The card still has the factory's PIN.
async fn assert_untouched(test: &TestWorld) {
    let said = test.piv(&["-a", "verify-pin", "-P", "123456"]).await;
    assert!(said.contains("Successfully verified PIN"), "{said}");
}

/// Listens to an agent that must end before it has done anything; gives its last words.
async fn refused(mut agent: Agent) -> String {
    while let Some(line) = agent.line().await.expect("a line") {
        assert!(!line.starts_with('·') && !line.starts_with("Number:"), "{line}");
    }
    let ended = agent.end().await.expect("an end");
    assert!(!ended.success());
    ended.said
}

/// What the desktop does with the page's button: it calls the agent with the link, as the package's entry says.
async fn the_link_of_the_page_is_enough(database: Database) {
    let entry = include_str!("../../deploy/sealwright-agent.desktop");
    assert!(entry.contains("\nExec=sealwright-agent connect %u\n"), "{entry}");
    assert!(entry.contains("\nMimeType=x-scheme-handler/sealwright;\n"), "{entry}");
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    journey::offer(&mut begun).await.expect("a code");
    let page = begun.browser.get(&format!("/instances/{}", begun.instance)).await.expect("the page");
    let (_, link) = page.split_once("href=\"sealwright://").expect("a link");
    let (link, _) = link.split_once('"').expect("its end");
    // The portal's address is in the link: another one leads nowhere.
    test.world.agent_url = "http://127.0.0.1:1".to_owned();
    let end = test.agent(&format!("sealwright://{link}")).converse(&mut begun).await.expect("a conversation");
    assert!(end.success(), "{}", end.said);
    assert_personalized(&test, &mut begun).await;
}

async fn a_wrong_code_and_a_used_one_are_refused(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let said = refused(test.agent("AAAA-AAAA")).await;
    assert!(said.contains("does not know this code. Copy it from the page again."), "{said}");
    // The person at the agent says no: nothing was done, and the code is spent.
    let mut agent = test.agent(&code);
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            // Looked for on the page, where it is once the code is spent.
            shows(&mut begun, number.trim()).await;
            agent.answer("n\n").await.expect("answered");
            // The page says so at once, and offers a code.
            let page = shows(&mut begun, "The number was refused at the card agent").await;
            assert!(page.contains("Get a new code"), "{page}");
        }
        assert!(!line.starts_with('·'), "a job ran before the numbers were confirmed: {line}");
    }
    let said = agent.end().await.expect("an end").said;
    assert!(said.contains("Nothing was done."), "{said}");
    let said = refused(test.agent(&code)).await;
    assert!(said.contains("was used before. Reload the page and use the new one."), "{said}");
    assert_untouched(&test).await;
}

async fn a_code_is_good_for_ten_minutes(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    test.world.kill_portal().await.expect("killed");
    test.world.restart_portal(&later("+11m")).await.expect("restarted");
    let said = refused(test.agent(&code)).await;
    assert!(said.contains("This code is too old. Reload the page and use the new one."), "{said}");
    // The page has noticed too.
    shows(&mut begun, "Get a code").await;
    assert_untouched(&test).await;
}

async fn somebody_elses_agent_gets_nothing_with_a_stolen_code(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    // Mallory has read the code over alice's shoulder; his agent is another one.
    let own = test.world.agent.clone();
    let folder = test.world.folder.clone();
    let config = std::fs::read_to_string(folder.join("agent.toml")).expect("a configuration");
    std::fs::write(folder.join("mallory.toml"), config.replace("agent-state", "mallory-state")).expect("written");
    let script = std::fs::read_to_string(&own).expect("a script").replace("agent.toml", "mallory.toml");
    let theirs = folder.join("bin/mallory");
    std::fs::write(&theirs, script).expect("written");
    std::fs::set_permissions(&theirs, std::fs::metadata(&own).expect("the agent").permissions()).expect("executable");
    test.world.agent = theirs;
    let mut mallory = test.agent(&code);
    while let Some(line) = mallory.line().await.expect("a line") {
        if line.starts_with("Number:") {
            break;
        }
    }
    mallory.answer("y\n").await.expect("answered");
    // Alice's page shows an agent that is not hers. Her own agent cannot use the code any more, so she says no.
    shows(&mut begun, "class=\"number\"").await;
    test.world.agent = own;
    let said = refused(test.agent(&code)).await;
    assert!(said.contains("was used before"), "{said}");
    let code = new_code(&mut begun).await.expect("a new code");
    while let Some(line) = mallory.line().await.expect("a line") {
        assert!(!line.starts_with('·'), "mallory's agent was given work: {line}");
    }
    assert!(mallory.end().await.expect("an end").said.contains("Nothing was done."));
    assert_untouched(&test).await;
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_personalized(&test, &mut begun).await;
}

/// Listens until the agent shows its number, and leaves it unanswered.
async fn until_number(agent: &mut Agent) -> String {
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            return number.trim().to_owned();
        }
    }
    panic!("the agent shows no number");
}

async fn a_confirmation_is_for_the_pairing_that_the_page_has_shown(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut first = test.agent(&code);
    until_number(&mut first).await;
    let page = shows(&mut begun, "class=\"number\"").await;
    let stale = journey::field(&page, "pairing").expect("a pairing");
    // In another tab a new code was asked for, and another agent has redeemed it: the first tab's button is not for that one.
    let code = new_code(&mut begun).await.expect("a new code");
    let mut second = test.agent(&code);
    let number = until_number(&mut second).await;
    shows(&mut begun, &number).await;
    let (confirm, csrf) = (format!("{}/confirm", begun.path), begun.csrf.clone());
    let fields = [("csrf", csrf.as_str()), ("pairing", stale.as_str())];
    let refused = begun.browser.post(&confirm, &fields).await.expect_err("the wrong pairing").to_string();
    assert!(refused.contains("409") && refused.contains("use a new code"), "{refused}");
    let page = begun.browser.get(&begun.path).await.expect("the page");
    assert!(page.contains("Yes, the same number"), "{page}");
}

/// The page's "No" reaches an agent whose person has not answered yet; so does the end of the connection reach the page.
async fn a_pairing_that_one_side_ends_is_over_on_the_other_at_once(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    let number = until_number(&mut agent).await;
    shows(&mut begun, &number).await;
    let code = new_code(&mut begun).await.expect("a new code");
    while agent.line().await.expect("a line").is_some() {}
    let ended = agent.end().await.expect("an end");
    assert!(ended.said.contains("The page has started over with a new code. Nothing was done."), "{}", ended.said);

    let mut agent = test.agent(&code);
    let number = until_number(&mut agent).await;
    shows(&mut begun, &number).await;
    // It is killed with its question: neither side has confirmed.
    drop(agent);
    let page = shows(&mut begun, "ended before the number was confirmed there").await;
    assert!(page.contains("Get a new code") && !page.contains("class=\"number\""), "{page}");
    let code = new_code(&mut begun).await.expect("a new code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
    assert_personalized(&test, &mut begun).await;
}

/// Nobody at the agent answers, and the network to it falls away: it ends instead of asking on.
async fn an_unconfirmed_agent_does_not_outlive_its_connection(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    until_number(&mut agent).await;
    test.world.kill_portal().await.expect("killed");
    while agent.line().await.expect("a line").is_some() {}
    let ended = agent.end().await.expect("an end");
    assert!(ended.said.contains("broke before the number was confirmed. Nothing was done."), "{}", ended.said);
    test.world.restart_portal(&[]).await.expect("restarted");
    let code = new_code(&mut begun).await.expect("a new code");
    assert!(test.agent(&code).converse(&mut begun).await.expect("a conversation").success());
}

async fn a_person_who_is_sent_somebody_elses_link_sees_whose_it_is(database: Database) {
    let test = TestWorld::start(database).await;
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    let code = journey::offer(&mut bob).await.expect("a code");
    // Bob sends his code to alice, whose card is in her reader: her agent names him before anything is done.
    let mut agent = test.agent(&code);
    let mut said = Vec::new();
    while let Some(line) = agent.line().await.expect("a line") {
        if line.starts_with("Number:") {
            agent.answer("n\n").await.expect("answered");
        }
        said.push(line);
    }
    assert!(said.iter().any(|line| line == "Person:  bob"), "{said:?}");
    assert!(said.iter().any(|line| line == "Purpose: Personalize your smart card"), "{said:?}");
    assert_untouched(&test).await;
}

/// An agent that speaks otherwise is told so in words, also where it says what nobody here knows; so is one whose portal does.
#[tokio::test(flavor = "multi_thread")]
async fn agents_of_other_versions_are_told_so() {
    let mut test = TestWorld::start(Database::Sqlite).await;
    let url = test.world.agent_url.clone();
    let older = r#"{"type":"hello","protocol":0,"agent":"0.0.1","host":"h"}"#;
    let said = Wire::say(&url, older).await.expect("an answer");
    assert!(said.contains("this agent speaks 0. Update the agent."), "{said}");
    let newer = r#"{"type":"hello","protocol":2,"agent":"9.0.0","host":"h","key":"AAAA","language":"de"}"#;
    let said = Wire::say(&url, newer).await.expect("an answer");
    assert!(said.contains("this agent speaks 2. The agent is newer"), "{said}");
    let portal = Wire::answering(r#"{"type":"greeting","language":"de"}"#).await;
    portal.stands_between(&mut test);
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let said = refused(test.agent(&code)).await;
    assert!(said.contains("Update the agent."), "{said}");
    assert_untouched(&test).await;
}

/// Links' codes that are none, as many as somebody likes: they fill no database, and keep nobody from typing a code.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_links_keep_nobody_from_typing() {
    let test = TestWorld::start(Database::Sqlite).await;
    for number in 0..150 {
        let said = Wire::redeem(&test.world.agent_url, &format!("{number:032x}")).await;
        assert!(matches!(&said, FromPortal::Refused { say } if say.contains("does not know this code")), "{said:?}");
    }
    let store = Store::open(&format!("sqlite:{}/sealwright.db", test.world.folder.display()), "default").await;
    let rows = audits::of_event(store.expect("the database").read(), "code-refused", 1000).await.expect("rows");
    assert_eq!(rows.len(), 100);
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
}

/// A second agent with the card takes over from the first, whose jobs count no more; somebody else with it is told that it is in use.
async fn of_two_agents_with_one_card_the_later_one_goes_on(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let stopped = [("SEALWRIGHT_FAIL_POINT", "agent.generate.after"), ("SEALWRIGHT_FAIL_POINT_SIGNAL", "STOP")];
    let mut first = test.agent_with(&code, Some(&test.pin_file), &stopped);
    first.until(&mut begun, "Making a key on the card").await.expect("a job");
    let process = first.id().expect("a process");
    until_it_stands_still(process).await;
    // Bob has the card that alice works with.
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    let bobs = journey::offer(&mut bob).await.expect("a code");
    test.agent(&bobs).until(&mut bob, "Answer on the page.").await.expect("asked");
    shows(&mut bob, "This card is already being used in another request.").await;
    // Alice's second agent.
    let code = new_code(&mut begun).await.expect("a code");
    let done = test.agent(&code).converse(&mut begun).await.expect("a conversation");
    assert!(done.success(), "{}", done.said);
    go_on(process);
    while first.line().await.expect("a line").is_some() {}
    assert!(!first.end().await.expect("an end").success(), "the first agent went on");
    assert_personalized(&test, &mut begun).await;
}

/// Somebody on the wire who has not the agent's key: neither another nonce than the one committed to nor another signature is taken.
async fn an_agent_that_is_not_the_one_it_says_is_refused(database: Database) {
    let mut test = TestWorld::start(database).await;
    let spoils = Arc::new(AtomicBool::new(true));
    let is_spoiled = spoils.clone();
    let wire = Wire::start(&test.world.agent_url, move |message| match message {
        FromAgent::Reveal { nonce: Bytes(bytes) } | FromAgent::Proof { signature: Bytes(bytes) }
            if is_spoiled.load(Ordering::SeqCst) =>
        {
            bytes[0] ^= 1;
        }
        _ => {}
    })
    .await;
    wire.stands_between(&mut test);
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    agent.answer("y\n").await.expect("answered");
    while agent.line().await.expect("a line").is_some() {}
    let said = agent.end().await.expect("an end").said;
    assert!(said.contains("does not understand this agent"), "{said}");
    // Paired, and killed; whoever comes back in its place must sign with its key.
    spoils.store(false, Ordering::SeqCst);
    let code = new_code(&mut begun).await.expect("a code");
    let killed = [("SEALWRIGHT_FAIL_POINT", "agent.identify")];
    let ended = test.agent_with(&code, Some(&test.pin_file), &killed).converse(&mut begun).await.expect("an end");
    assert_eq!(ended.status.signal(), Some(Signal::SIGKILL as i32), "{}", ended.said);
    spoils.store(true, Ordering::SeqCst);
    let mut agent = test.agent(&code);
    while agent.line().await.expect("a line").is_some() {}
    let said = agent.end().await.expect("an end").said;
    assert!(said.contains("This pairing is over."), "{said}");
    for (row, why) in test.audited("agent-refused").await.into_iter().zip(["signature", "commitment"]) {
        assert_eq!(row.detail, Some(serde_json::json!({ "why": why })));
    }
    assert_eq!(test.audited("agent-refused").await.len(), 2);
    assert_untouched(&test).await;
}
