//! The journey as a person goes it, in a real browser, with pictures in `var/screenshots`.

mod live;
mod states;

use std::path::Path;

use fantoccini::key::Key;
use sealwright_world::journey::Agent;
use serde_json::Value;

use crate::on_either_database;
use crate::support::webdriver::Chromium;
use crate::support::{Database, TestWorld};

on_either_database! {
    a_person_personalizes_a_card_in_the_browser,
    what_goes_wrong_is_said_in_plain_words,
    two_people_decide_in_their_browsers,
    the_keyboard_alone_is_enough,
}

/// The page of roles has a headline too: it must have gone.
const ROLE_IS_TAKEN: &str =
    "return (document.querySelector('h1')?.innerText ?? 'Choose your role') != 'Choose your role'";
const HEADLINE: &str = "return document.querySelector('[role=status]')?.innerText";

async fn a_person_personalizes_a_card_in_the_browser(database: Database) {
    let test = TestWorld::start(database).await;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("var/screenshots");
    let chromium = Chromium::start(&test.path("profile")).await;
    let base = format!("http://{}", test.world.proxy);
    chromium.open(&format!("{base}/demo")).await;
    chromium.pictures(&pictures, "00-demo").await;
    chromium.click("form:has(input[value=bob]) button").await;
    // The only role is picked at once; the page of roles is there for whoever wants to see it.
    chromium.until("return document.querySelector('h1')?.innerText == 'What would you like to do?'").await;
    chromium.pictures(&pictures, "02-home").await;
    chromium.open(&format!("{base}/role")).await;
    assert_eq!(chromium.run("return document.querySelectorAll('form').length").await, 1);
    chromium.pictures(&pictures, "01-role").await;
    // The deep link hides the menu and shows one button.
    chromium.open(&format!("{base}/token")).await;
    assert_eq!(chromium.run("return document.querySelector('nav')").await, Value::Null);
    chromium.pictures(&pictures, "03-token").await;
    chromium.click("main button").await;
    let code = chromium.until("return document.querySelector('.code')?.innerText").await;
    assert_eq!(chromium.run("return document.querySelector('nav')").await, Value::Null);
    chromium.pictures(&pictures, "04-code").await;
    // The button is there with scripts alone, and says what it has done; a browser without rights to the clipboard selects the text.
    chromium.click("button[data-copy]").await;
    chromium.until("return document.querySelector('.copy span')?.innerText").await;
    let reader = test.world.readers[0].clone();
    let mut agent = Agent::start(&test.world, code.as_str().expect("a code"), &reader, Some(&test.pin_file), &[])
        .expect("an agent");
    let mut seen = Vec::new();
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            // The page shows the number by itself: nobody reloads it.
            let shown = chromium.until("return document.querySelector('.number')?.innerText").await;
            assert_eq!(shown.as_str(), Some(number.trim()));
            chromium.pictures(&pictures, "05-compare").await;
            chromium.click("form[action$=confirm] button").await;
            agent.answer("y\n").await.expect("answered");
        }
        if let Some(label) = line.strip_prefix("· ") {
            seen.push(label.to_owned());
            let name = format!("06-working-{:02}", seen.len());
            chromium.pictures(&pictures, &name).await;
        }
    }
    assert!(seen.len() >= 8, "{seen:?}");
    let ready =
        "return document.querySelector('[role=status]')?.innerText == 'Your card is ready. You can take it out.'";
    chromium.until(ready).await;
    assert_eq!(chromium.run(HEADLINE).await, "Your card is ready. You can take it out.");
    chromium.run("document.querySelectorAll('details').forEach((part) => { part.open = true })").await;
    chromium.pictures(&pictures, "07-done").await;
    chromium.open(&format!("{base}/credentials")).await;
    let rows = chromium.run("return document.querySelectorAll('tbody tr').length").await;
    assert_eq!(rows, 3);
    chromium.pictures(&pictures, "08-credentials").await;
    // One of them is revoked, as its owner does it.
    chromium.click("a[href^='/start/revoke-certificate/']").await;
    chromium.until("return document.querySelector('select[name=field_reason]') !== null").await;
    chromium.pictures(&pictures, "10-revoke").await;
    chromium.run("document.querySelector('select[name=field_reason]').value = 'key-compromise'").await;
    chromium.click("form:has(select[name=field_reason]) button").await;
    chromium.until("return document.querySelector('[role=status]')?.innerText == 'The certificate is revoked.'").await;
    chromium.pictures(&pictures, "11-revoked").await;
    enter(&chromium, &test, "rita", "ra-operator").await;
    chromium.open(&format!("{base}/certificates")).await;
    let page = chromium.run("return document.body.innerText").await;
    assert_eq!(chromium.run("return document.querySelectorAll('tbody tr').length").await, 2, "{page}");
    chromium.pictures(&pictures, "12-certificates").await;
    chromium.open(&format!("{base}/nowhere/at/all")).await;
    chromium.pictures(&pictures, "09-error").await;
}

/// Picks a person and a role in the browser; comes back at the start page.
async fn enter(chromium: &Chromium, test: &TestWorld, person: &str, role: &str) {
    let base = format!("http://{}", test.world.proxy);
    chromium.open(&format!("{base}/demo")).await;
    chromium.click(&format!("form:has(input[value={person}]) button")).await;
    // Until then it is somebody else's browser.
    let who = format!("return (document.querySelector('.who')?.textContent ?? '').startsWith('{person}')");
    chromium.until(&who).await;
    chromium.open(&format!("{base}/role")).await;
    chromium.click(&format!("form:has(input[name=role][value={role}]) button")).await;
    chromium.until(ROLE_IS_TAKEN).await;
}

async fn what_goes_wrong_is_said_in_plain_words(database: Database) {
    let test = TestWorld::start_with(database, &[], "stock = [\"20000002\"]").await;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("var/screenshots");
    let chromium = Chromium::start(&test.path("profile")).await;
    let base = format!("http://{}", test.world.proxy);
    // Past the proxy nobody is signed in.
    chromium.open(&format!("http://{}/", test.world.pages)).await;
    assert_eq!(chromium.run("return document.querySelector('h1').innerText").await, "You are not signed in");
    chromium.pictures(&pictures, "20-not-signed-in").await;
    enter(&chromium, &test, "alice", "user").await;
    chromium.open(&format!("{base}/token")).await;
    chromium.click("main button").await;
    chromium.until("return document.querySelector('form[action$=code] button') !== null").await;
    let instance = chromium.run("return location.pathname").await;
    let instance = instance.as_str().expect("a path");
    // A card that is not in stock leads to a question.
    let mut agent = pair(&chromium, &test, &test.world.readers[0], Some(&test.pin_file), &[]).await;
    chromium.until("return document.querySelector('form[action$=act] button') !== null").await;
    chromium.pictures(&pictures, "22-question").await;
    // An operator looks at it, with what operators may do.
    enter(&chromium, &test, "carl", "ca-operator").await;
    chromium.pictures(&pictures, "23-operator-home").await;
    chromium.open(&format!("{base}{instance}")).await;
    chromium.until("return document.querySelector('button')?.innerText == 'Cancel it'").await;
    chromium.pictures(&pictures, "24-operator").await;
    enter(&chromium, &test, "alice", "user").await;
    chromium.open(&format!("{base}{instance}")).await;
    chromium.click("form:has(input[value=stop]) button").await;
    chromium.until("return document.querySelector('[role=status]')?.innerText.startsWith('You stopped')").await;
    chromium.pictures(&pictures, "25-stopped").await;
    assert!(!agent.end().await.expect("an end").success());
    // A wrong PIN: the page says what happened and what to do.
    chromium.click("form[action='/start/personalize'] button").await;
    chromium.until("return document.querySelector('form[action$=code] button') !== null").await;
    let killed = [("SEALWRIGHT_FAIL_POINT".to_owned(), "agent.generate.before".to_owned())];
    let reader = test.world.readers[1].clone();
    pair(&chromium, &test, &reader, Some(&test.pin_file), &killed).await.end().await.expect("killed");
    chromium.run("document.querySelectorAll('details').forEach((part) => { part.open = true })").await;
    let wrong = test.pin_file("11223344");
    let mut agent = pair(&chromium, &test, &reader, Some(&wrong), &[]).await;
    agent.end().await.expect("an end");
    chromium.until("return document.querySelector('[role=status]')?.innerText.startsWith('Not every')").await;
    let text = chromium.run("return document.querySelector('main').innerText").await;
    assert!(text.as_str().is_some_and(|text| text.contains("Start again with the right PIN.")), "{text}");
    chromium.pictures(&pictures, "26-not-finished").await;
}

/// Alice asks, Rita decides: each sees what the other does without reloading.
async fn two_people_decide_in_their_browsers(database: Database) {
    let test = TestWorld::start_with_approvals(database, 1).await;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("var/screenshots");
    let alice = Chromium::start(&test.path("alice")).await;
    let rita = Chromium::start(&test.path("rita")).await;
    enter(&alice, &test, "alice", "user").await;
    alice.open(&format!("http://{}/token", test.world.proxy)).await;
    alice.click("main button").await;
    alice.until("return document.querySelector('.code') !== null").await;
    let _agent = pair(&alice, &test, &test.world.readers[0], Some(&test.pin_file), &[]).await;
    let waits = "return document.querySelector('[role=status]')?.innerText.startsWith('Waiting for an RA')";
    alice.until(waits).await;
    alice.pictures(&pictures, "40-waiting-for-approval").await;
    enter(&rita, &test, "rita", "ra-operator").await;
    rita.until("return document.querySelector('h2')?.innerText == 'Waiting for you'").await;
    rita.pictures(&pictures, "41-tasks").await;
    rita.click("main section a").await;
    rita.until("return document.querySelector('form:has(input[value=approve])') !== null").await;
    rita.pictures(&pictures, "42-request").await;
    rita.click("form:has(input[value=claim]) button").await;
    rita.until("return document.querySelector('form:has(input[value=release])') !== null").await;
    rita.pictures(&pictures, "43-claimed").await;
    rita.write("#ask-back-question", "Is this your new card?").await;
    rita.click("form:has(input[value=ask-back]) button").await;
    let question = "return document.querySelector('#answer-answer') !== null";
    alice.until(question).await;
    alice.pictures(&pictures, "44-question").await;
    alice.write("#answer-answer", "Yes, the old one is broken.").await;
    alice.click("form:has(input[value=answer]) button").await;
    alice.until(waits).await;
    rita.until("return document.querySelector('main').innerText.includes('Yes, the old one is broken.')").await;
    rita.pictures(&pictures, "45-answered").await;
    rita.click("form:has(input[value=approve]) button").await;
    rita.until("return document.querySelector('[role=status]')?.innerText == 'Issued'").await;
    rita.pictures(&pictures, "46-issued").await;
    alice.until("return document.querySelector('[role=status]')?.innerText.startsWith('Your card is ready')").await;
}

/// Alice and rita have no mouse: every step is reached with the tab key, is seen to be, and is taken with the enter key.
async fn the_keyboard_alone_is_enough(database: Database) {
    let test = TestWorld::start_with_approvals(database, 1).await;
    let alice = Chromium::start(&test.path("alice")).await;
    let rita = Chromium::start(&test.path("rita")).await;
    let base = format!("http://{}", test.world.proxy);
    for (browser, person, role) in [(&alice, "alice", "user"), (&rita, "rita", "ra-operator")] {
        browser.open(&format!("{base}/demo")).await;
        take(browser, &format!("form:has(input[value={person}]) button")).await;
        // Who has one role alone is not asked for it.
        if role != "user" {
            browser.until("return document.querySelector('h1')?.innerText == 'Choose your role'").await;
            take(browser, &format!("form:has(input[name=role][value={role}]) button")).await;
        }
        let home = "return document.querySelector('h1')?.innerText == 'What would you like to do?'";
        browser.until(home).await;
    }
    take(&alice, "form[action='/start/personalize'] button").await;
    let code = alice.until("return document.querySelector('.code')?.innerText").await;
    let reader = test.world.readers[0].clone();
    let mut agent = Agent::start(&test.world, code.as_str().expect("a code"), &reader, Some(&test.pin_file), &[])
        .expect("an agent");
    while let Some(line) = agent.line().await.expect("a line") {
        if line.starts_with("Number:") {
            alice.until("return document.querySelector('form[action$=confirm] button') !== null").await;
            take(&alice, "form[action$=confirm] button").await;
            agent.answer("y\n").await.expect("answered");
        }
        if line.contains("RA operator") {
            break;
        }
    }
    rita.until("return document.querySelector('h2')?.innerText == 'Waiting for you'").await;
    take(&rita, "main section a").await;
    rita.until("return document.querySelector('form:has(input[value=claim])') !== null").await;
    take(&rita, "form:has(input[value=claim]) button").await;
    rita.until("return document.querySelector('form:has(input[value=release])') !== null").await;
    rita.tab_to("#ask-back-question").await;
    rita.press_keys("Is this your new card?").await;
    take(&rita, "form:has(input[value=ask-back]) button").await;
    alice.until("return document.querySelector('#answer-answer') !== null").await;
    alice.tab_to("#answer-answer").await;
    alice.press_keys("Yes.").await;
    take(&alice, "form:has(input[value=answer]) button").await;
    rita.until("return document.querySelector('form:has(input[value=approve])') !== null").await;
    take(&rita, "form:has(input[value=approve]) button").await;
    rita.until("return document.querySelector('[role=status]')?.innerText == 'Issued'").await;
    alice.until("return document.querySelector('[role=status]')?.innerText.startsWith('Your card is ready')").await;
    while agent.line().await.expect("a line").is_some() {}
    assert!(agent.end().await.expect("an end").success());
}

/// Reaches something with the keyboard and takes it.
async fn take(browser: &Chromium, selector: &str) {
    browser.tab_to(selector).await;
    browser.press(Key::Enter).await;
}

/// Gets a code from the page and pairs an agent with it; comes back when the numbers are confirmed on both sides.
async fn pair(
    chromium: &Chromium,
    test: &TestWorld,
    reader: &str,
    pin_file: Option<&Path>,
    environment: &[(String, String)],
) -> Agent {
    let before = chromium.run("return document.querySelector('.code')?.innerText ?? ''").await;
    chromium.run("document.querySelectorAll('details').forEach((part) => { part.open = true })").await;
    chromium.click("form[action$=code] button").await;
    let shown = format!(
        "const code = document.querySelector('.code')?.innerText; return code && code != {before} ? code : null"
    );
    let code = chromium.until(&shown).await;
    let code = code.as_str().expect("a code");
    let mut agent = Agent::start(&test.world, code, reader, pin_file, environment).expect("an agent");
    while let Some(line) = agent.line().await.expect("a line") {
        if line.starts_with("Number:") {
            chromium.until("return document.querySelector('.number') !== null").await;
            chromium.click("form[action$=confirm] button").await;
            agent.answer("y\n").await.expect("answered");
            return agent;
        }
    }
    panic!("the agent ended before it was paired");
}
