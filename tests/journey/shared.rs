//! Cards and readers that others use too: a program that keeps the card, one that resets it, a service that is restarted.

use sealwright_world::journey::{self, Agent, Begun};

use super::{assert_nothing_issued, assert_personalized};
use crate::on_either_database;
use crate::support::{Database, PIN, TestWorld, go_on, start_again, stop, view};

on_either_database! {
    a_card_that_another_program_keeps_is_waited_for,
    another_program_in_the_middle_of_something_is_waited_for,
    a_card_that_another_program_resets_goes_on,
    a_restarted_card_service_is_found_again,
    a_reader_that_is_unplugged_is_waited_for,
    a_card_that_nobody_lets_go_of_is_given_up,
    the_agent_waits_for_cards_and_codes,
}

/// Talks until the agent says a text; gives the line.
async fn until(agent: &mut Agent, begun: &mut Begun, text: &str) -> String {
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            agent.compare(begun, number.trim()).await.expect("the same number");
        }
        if line.contains(text) {
            return line;
        }
    }
    panic!("the agent has not said `{text}`: {}", agent.end().await.expect("an end").said);
}

async fn finish(mut agent: Agent, test: &TestWorld, begun: &mut Begun) {
    let ended = agent.converse(begun).await.expect("a conversation");
    assert!(ended.success(), "{}", ended.said);
    assert_personalized(test, begun).await;
}

async fn a_card_that_another_program_keeps_is_waited_for(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let holder = test.world.hold_card(0, "exclusive").await.expect("held");
    let mut agent = test.agent(&code);
    let line = until(&mut agent, &mut begun, "uses the card in").await;
    // It is named, and the person is told that nothing is to be done but to let it go.
    assert!(line.contains("virtual-card") && line.contains(&test.world.readers[0]), "{line}");
    drop(holder);
    finish(agent, &test, &mut begun).await;
}

async fn another_program_in_the_middle_of_something_is_waited_for(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let holder = test.world.hold_card(0, "transaction").await.expect("held");
    let mut agent = test.agent(&code);
    until(&mut agent, &mut begun, "uses the card in").await;
    drop(holder);
    finish(agent, &test, &mut begun).await;
}

async fn a_card_that_another_program_resets_goes_on(database: Database) {
    let test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    for label in ["Replacing the card's factory PIN", "Making a key on the card", "Writing the certificate"] {
        until(&mut agent, &mut begun, label).await;
        test.world.hold_card(0, "reset").await.expect("reset");
    }
    finish(agent, &test, &mut begun).await;
}

async fn a_restarted_card_service_is_found_again(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    until(&mut agent, &mut begun, "Making a key on the card").await;
    test.world.restart_card_service().await.expect("restarted");
    finish(agent, &test, &mut begun).await;
}

async fn a_reader_that_is_unplugged_is_waited_for(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    let code = journey::offer(&mut begun).await.expect("a code");
    let mut agent = test.agent(&code);
    until(&mut agent, &mut begun, "Making a key on the card").await;
    test.world.unplug_readers().await.expect("unplugged");
    let line = until(&mut agent, &mut begun, "There is no card reader.").await;
    assert!(line.contains("with the card 20000001 in it"), "{line}");
    test.world.restart_card_service().await.expect("plugged in");
    finish(agent, &test, &mut begun).await;
}

/// Another program keeps the card for itself, or stays in the middle of something: the person stops, the agent goes, and nothing was done.
async fn a_card_that_nobody_lets_go_of_is_given_up(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut begun = test.alice().await;
    for how in ["exclusive", "transaction"] {
        let code = journey::offer(&mut begun).await.expect("a code");
        test.world.remove(0).await.expect("removed");
        let mut agent = test.agent(&code);
        until(&mut agent, &mut begun, "Please put the card into the reader.").await;
        // The other program is there before the agent has seen the card.
        let process = agent.id().expect("a process");
        stop(process).await;
        test.world.insert(0).expect("inserted");
        test.world.wait_for_cards().await.expect("noticed");
        let holder = test.world.hold_card(0, how).await.expect("held");
        go_on(process);
        until(&mut agent, &mut begun, "uses the card in").await;
        let step = view(&mut begun).await["step"].to_string();
        let csrf = begun.csrf.clone();
        let fields = [("csrf", csrf.as_str()), ("step", step.as_str()), ("action", "cancel")];
        begun.browser.post(&format!("{}/act", begun.path), &fields).await.expect("stopped");
        while agent.line().await.expect("a line").is_some() {}
        let ended = agent.end().await.expect("an end");
        assert!(!ended.success() && ended.status.code().is_some(), "{how}: {ended:?}");
        assert_nothing_issued(&mut begun, "cancelled").await;
        drop(holder);
        start_again(&mut begun).await;
    }
    let code = journey::offer(&mut begun).await.expect("a code");
    finish(test.agent(&code), &test, &mut begun).await;
}

async fn the_agent_waits_for_cards_and_codes(database: Database) {
    let mut test = TestWorld::start(database).await;
    test.world.remove(0).await.expect("removed");
    let mut agent = Agent::wait_for_codes(&test.world, &test.world.readers[0]).expect("an agent");
    let mut begun = test.alice().await;
    test.world.insert(0).expect("inserted");
    let line = until(&mut agent, &mut begun, "Card 20000001 is in").await;
    assert!(line.contains(&test.world.readers[0]), "{line}");
    // A code that is none is said to be so, and the next one is waited for.
    agent.answer("AAAA-AAAA\n").await.expect("typed");
    until(&mut agent, &mut begun, "Nothing more is done with this code.").await;
    let code = journey::offer(&mut begun).await.expect("a code");
    agent.answer(&format!("\n{code}\n")).await.expect("typed");
    until(&mut agent, &mut begun, "Now confirm the number on the page.").await;
    // A PIN is chosen, and typed again.
    agent.answer(&format!("{PIN}\n{PIN}\n")).await.expect("typed");
    until(&mut agent, &mut begun, "Your card is ready.").await;
    assert_personalized(&test, &mut begun).await;
    test.world.remove(0).await.expect("removed");
    until(&mut agent, &mut begun, "Card 20000001 was taken out").await;
    test.world.insert(0).expect("inserted");
    until(&mut agent, &mut begun, "Card 20000001 is in").await;
    let ended = agent.close().await.expect("an end");
    assert!(ended.success(), "{}", ended.said);
}
