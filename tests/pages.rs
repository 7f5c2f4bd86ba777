//! The journey as a person goes it, in a real browser, with pictures of every state in `var/screenshots`.

use std::path::Path;

use fantoccini::key::Key;
use sealwright::commands::demo::journey::{self, Agent};
use sealwright_workflow::definition::{Definition, Kind, Party};
use sealwright_workflow::types::Type;
use serde_json::{Map, Value, json};

use crate::journey::approval;
use crate::on_both_databases;
use crate::support::client::Client;
use crate::support::webdriver::Chromium;
use crate::support::{Database, TestWorld, run};

on_both_databases! {
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
    chromium.click("form:nth-of-type(2) button").await;
    chromium.until("return document.querySelector('h1')?.innerText == 'Choose your role'").await;
    chromium.pictures(&pictures, "01-role").await;
    chromium.click("form button").await;
    chromium.until("return document.querySelector('h1')?.innerText == 'What would you like to do?'").await;
    chromium.pictures(&pictures, "02-home").await;
    // The deep link hides the menu and shows one button.
    chromium.open(&format!("{base}/token")).await;
    assert_eq!(chromium.run("return document.querySelector('nav')").await, Value::Null);
    chromium.pictures(&pictures, "03-token").await;
    chromium.click("main button").await;
    let code = chromium.until("return document.querySelector('.code')?.innerText").await;
    assert_eq!(chromium.run("return document.querySelector('nav')").await, Value::Null);
    chromium.pictures(&pictures, "04-code").await;
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
    chromium.click("form[action='/start/revoke-certificate'] button").await;
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
    enter(&chromium, &test, "alice", "ra-operator").await;
    chromium.pictures(&pictures, "21-role-refused").await;
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
    chromium.until("return document.querySelector('button')?.innerText == 'End it without success'").await;
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

/// The page of the request that waits for rita.
async fn at_the_request(test: &TestWorld) -> Chromium {
    let rita = Chromium::start(&test.path("rita")).await;
    enter(&rita, test, "rita", "ra-operator").await;
    rita.until("return document.querySelector('h2')?.innerText == 'Waiting for you'").await;
    rita.click("main section a").await;
    rita.until("return document.querySelector('#ask-back-question') !== null").await;
    rita
}

const IS_BEHIND: &str = "return document.querySelector('#news a') !== null";

/// Others go on while rita types: her page says that it is behind, and takes nothing from under her hands; what she has not touched follows.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_types_stays() {
    let test = TestWorld::start_with_approvals(Database::Sqlite, 1).await;
    let (mut begun, _agent) = approval::asked(&test).await;
    let rita = at_the_request(&test).await;
    let ralf = Client::sign_in(&test, "ralf", "ra-operator").await;
    let question = approval::task(&ralf).await;
    let typed = "return document.querySelector('#ask-back-question')?.value";
    // She stands in a field, and has typed nothing.
    rita.run("document.querySelector('#ask-back-question').focus()").await;
    assert_eq!(approval::take(&ralf, &question, "claim", json!({})).await.0, 200);
    rita.until(IS_BEHIND).await;
    rita.run("document.activeElement.blur()").await;
    rita.until("return document.querySelector('main').innerText.includes('ralf works on this')").await;
    assert_eq!(approval::take(&ralf, &question, "release", json!({})).await.0, 200);
    rita.until("return document.querySelector('#ask-back-question') !== null").await;
    rita.write("#ask-back-question", "Is this your").await;
    assert_eq!(approval::take(&ralf, &question, "claim", json!({})).await.0, 200);
    rita.until(IS_BEHIND).await;
    // Also when she goes on to the button, and something else changes.
    rita.press(Key::Tab).await;
    let view: Value = serde_json::from_str(&journey::view(&mut begun).await.expect("a view")).expect("JSON");
    let csrf = begun.csrf.clone();
    let stop = [("csrf", csrf.as_str()), ("step", &view["step"].to_string()), ("action", "cancel")];
    begun.browser.post(&format!("{}/act", begun.path), &stop).await.expect("stopped");
    let ends = "const next = await fetch(location.href); return (await next.text()).includes('status cancelled')";
    rita.until(ends).await;
    assert_eq!(rita.run(typed).await, "Is this your");
    rita.pictures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("var/screenshots"), "47-behind").await;
    rita.click("#news a").await;
    rita.until("return document.querySelector('#ask-back-question, #news a') === null").await;
}

/// A proxy answers the page's stream while the portal is away: the browser gives it up then, and the page does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_comes_back_with_the_portal() {
    let mut test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    journey::offer(&mut begun).await.expect("a code");
    let alice = Chromium::start(&test.path("alice")).await;
    enter(&alice, &test, "alice", "user").await;
    alice.open(&format!("http://{}{}", test.world.proxy, begun.path)).await;
    alice.until("return document.querySelector('form[action$=code] button') !== null").await;
    // Another stream, to know when the browser gives up.
    alice.run("window.probe = new EventSource(document.querySelector('main').dataset.events)").await;
    alice.until("return window.probe.readyState === EventSource.OPEN").await;
    test.world.kill_portal().await.expect("killed");
    alice.until("return window.probe.readyState === EventSource.CLOSED").await;
    test.world.restart_portal(&[]).await.expect("restarted");
    let view: Value = serde_json::from_str(&journey::view(&mut begun).await.expect("a view")).expect("JSON");
    let csrf = begun.csrf.clone();
    let stop = [("csrf", csrf.as_str()), ("step", &view["step"].to_string()), ("action", "cancel")];
    begun.browser.post(&format!("{}/act", begun.path), &stop).await.expect("stopped");
    alice.until("return document.querySelector('[role=status]')?.innerText.startsWith('You stopped')").await;
}

/// Who reads a question and takes a button answers that question: another one does not come into its place by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_not_exchanged_for_another() {
    let test = TestWorld::start_with_approvals(Database::Sqlite, 1).await;
    let (begun, _agent) = approval::asked(&test).await;
    let rita = at_the_request(&test).await;
    let step = "return document.querySelector('form:has(input[value=approve]) [name=step]')?.value";
    let before = rita.run(step).await;
    // A finger is on the button, while ralf asks back and alice answers.
    rita.run("document.body.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }))").await;
    let ralf = Client::sign_in(&test, "ralf", "ra-operator").await;
    let question = approval::task(&ralf).await;
    assert_eq!(approval::take(&ralf, &question, "ask-back", json!({ "question": "Really?" })).await.0, 200);
    rita.until(IS_BEHIND).await;
    let alice = Client::sign_in(&test, "alice", "user").await;
    let path = format!("/api/v1/instances/{}", begun.instance);
    let is_asked = |view: &Value| view["questions"][0]["actions"].as_array().is_some_and(|actions| !actions.is_empty());
    let view = alice.until(&path, is_asked).await;
    assert_eq!(approval::take(&alice, &view["questions"][0], "answer", json!({ "answer": "Yes." })).await.0, 200);
    alice.until(&path, |view| !is_asked(view)).await;
    // Let go, it is the question that was there, and the page says that there is another one.
    let there = "const next = await fetch(location.href); return (await next.text()).includes('Really?')";
    rita.until(there).await;
    rita.run("document.body.dispatchEvent(new PointerEvent('pointerup', { bubbles: true }))").await;
    rita.run("await new Promise((done) => setTimeout(done, 1000))").await;
    assert_eq!(rita.run(step).await, before);
    assert_eq!(rita.run(IS_BEHIND).await, true);
    rita.click("form:has(input[value=approve]) button").await;
    rita.until("return document.querySelector('h1')?.innerText == 'Somebody was faster'").await;
    assert_eq!(test.audited("certificate-issued").await.len(), 1);
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
        browser.until("return document.querySelector('h1')?.innerText == 'Choose your role'").await;
        take(browser, &format!("form:has(input[name=role][value={role}]) button")).await;
        browser.until(ROLE_IS_TAKEN).await;
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

/// Every state of a personalization has a page that says where it stands: an instance is put into each by hand, as no card could be.
#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_a_personalization_has_a_page() {
    every_state_has_a_page(|name| name == "personalize").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_its_parts_has_a_page() {
    every_state_has_a_page(|name| ["certify-slot", "issue-certificate"].contains(&name)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_every_other_workflow_has_a_page() {
    every_state_has_a_page(|name| !["personalize", "certify-slot", "issue-certificate"].contains(&name)).await;
}

async fn every_state_has_a_page(is_wanted: impl Fn(&str) -> bool) {
    let test = TestWorld::start(Database::Sqlite).await;
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("var/screenshots");
    let (owner, operator) = (Chromium::start(&test.path("owner")).await, Chromium::start(&test.path("operator")).await);
    enter(&owner, &test, "alice", "user").await;
    enter(&operator, &test, "carl", "ca-operator").await;
    let base = format!("http://{}", test.world.proxy);
    owner.open(&format!("{base}/token")).await;
    owner.click("main button").await;
    owner.until("return document.querySelector('.code') !== null").await;
    let instance = owner.run("return location.pathname").await;
    let files = sealwright::portal::workflow_files(None).expect("the workflows");
    let catalog = sealwright::commands::check::catalog().expect("a catalog");
    let library = sealwright::portal::library(&files, &catalog).expect("verified workflows");
    let database = test.world.folder.join("sealwright.db").display().to_string();
    for definition in library.all().filter(|definition| is_wanted(&definition.name.text)) {
        let workflow = &definition.name.text;
        let chromium = if definition.see.contains(&Party::Owner) { &owner } else { &operator };
        let data: Map<String, Value> =
            definition.data.iter().map(|(name, field)| (name.clone(), sample(field.field_type.required()))).collect();
        for (name, status, waiting, say) in states_of(definition) {
            let version = definition.version.to_string();
            let values = [workflow, &version, &name, status, &waiting.to_string(), &say, &json!(data).to_string()];
            let values = values.map(str::to_owned);
            let arguments: Vec<&str> =
                ["-c", PUT_INTO_STATE, &database].into_iter().chain(values.iter().map(String::as_str)).collect();
            run("python3", &arguments, &[]);
            chromium.open(&format!("{base}{}?plain=1", instance.as_str().expect("a path"))).await;
            let said = chromium.until(HEADLINE).await;
            assert!(said.as_str().is_some_and(|said| said.len() > 4), "{workflow} {name}: {said}");
            chromium.pictures(&pictures, &format!("30-{workflow}-{name}-{status}")).await;
        }
    }
}

/// The states that an instance can be found in: name, status, what it waits for, and the closing sentence.
fn states_of(definition: &Definition) -> Vec<(String, &'static str, Value, String)> {
    let mut states = Vec::new();
    for state in &definition.states {
        let name = state.name.text.clone();
        let waiting = match &state.kind {
            Kind::Ask(_) => json!("person"),
            Kind::Card(_) => json!("job"),
            Kind::Run(_) | Kind::Fork(_) => json!({ "children": { "arguments": [], "started": 0, "ended": {} } }),
            Kind::Wait(_) => json!("condition"),
            Kind::Do(_) => {
                let stuck = json!({ "operator": { "class": "unavailable" } });
                states.push((name.clone(), "stuck", stuck, String::new()));
                json!({ "activity": { "attempts": 1 } })
            }
            Kind::End(end) => {
                let say = end.say.clone().unwrap_or_default();
                states.push((name, end.outcome.as_str(), json!("nothing"), say));
                continue;
            }
        };
        states.push((name, "running", waiting, String::new()));
    }
    states
}

/// A value of a type.
fn sample(of: &Type) -> Value {
    match of {
        Type::Text => json!("A text"),
        Type::Integer => json!(2),
        Type::Bool => json!(true),
        Type::Time => json!("2026-01-02T03:04:05Z"),
        Type::List(inner) => json!([sample(inner.required())]),
        Type::Named(name) => match name.as_str() {
            "person" => json!({
                "id": "5a1f0c9e-0001-4000-9000-000000000001", "login": "alice", "name": "Alice", "dn": "uid=alice",
                "mail": "alice@demo.test", "employee_number": "1", "upn": "alice@corp.demo.test",
                "object_sid": "S-1-5-21-1-2-3-4",
            }),
            "card" => json!({
                "id": "01a2060d-eebe-728e-8504-3321ce25f361", "serial": "30000114", "state": "assigned",
                "owner": null, "has_factory_secrets": true,
            }),
            "certificate" => json!({
                "id": "01a2060d-f094-72b8-8caf-48af76f57e4b", "serial": "5e53687364e840162b01c2d11fa17ecb",
                "profile": "smartcard-signature", "subject": "CN=Alice,DC=demo,DC=test",
            }),
            "slot" => {
                json!({ "name": "9c", "title": "Signatures", "algorithm": "p-256", "profile": "smartcard-signature" })
            }
            "slot-name" => json!("9c"),
            "csr" => json!({ "der": "MAA=", "algorithm": "p-256", "signed": true }),
            "draft-certificate" => json!({
                "subject": "CN=Alice,DC=demo,DC=test", "profile": "smartcard-signature", "key_algorithm": "p-256",
                "alternative_names": ["mail alice@demo.test"], "key_usage": ["digital signature"],
                "validity_days": 365, "digest": "0".repeat(64),
            }),
            "finding" => json!({ "rule": "duplicate", "message": "the person has a valid certificate already" }),
            "departure" => json!({
                "person": "5a1f0c9e-0001-4000-9000-000000000001", "login": "alice", "kind": "moved",
                "action": "revoke", "reason": "affiliation-changed",
            }),
            "departure-action" => json!("revoke"),
            "reason" => json!("superseded"),
            other => panic!("a new type needs a sample: {other}"),
        },
        Type::Optional(_) | Type::Null => Value::Null,
    }
}

/// Arguments: database, workflow, version, state, status, what it waits for (JSON), closing sentence, data (JSON).
const PUT_INTO_STATE: &str = "
import sqlite3, sys
_, database, workflow, version, state, status, waiting, say, data = sys.argv
c = sqlite3.connect(database, timeout=30)
c.execute('''UPDATE instance SET workflow = ?1, version = ?2, state = ?3, status = ?4, document = json_set(document,
    '$.workflow', ?1, '$.version', CAST(?2 AS INTEGER), '$.state', ?3, '$.status', ?4, '$.waiting', json(?5),
    '$.say', NULLIF(?6, ''), '$.data', json(?7))''', (workflow, version, state, status, waiting, say, data))
c.commit()
";
