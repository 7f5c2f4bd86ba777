//! What a page does by itself while somebody looks at it, and what it leaves to them.

use std::path::Path;

use fantoccini::key::Key;
use sealwright_world::journey;
use serde_json::{Value, json};

use super::enter;
use crate::journey::approval;
use crate::support::client::Client;
use crate::support::webdriver::Chromium;
use crate::support::{Database, TestWorld, sqlite};

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
    rita.until("return document.querySelector('main').innerText.includes('ralf is working on this')").await;
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

/// A proxy answers the page's stream while the portal is away: the browser gives it up then, and the page does not. It says so meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_comes_back_with_the_portal() {
    let mut test = TestWorld::start(Database::Sqlite).await;
    let mut begun = test.alice().await;
    journey::offer(&mut begun).await.expect("a code");
    let alice = Chromium::start(&test.path("alice")).await;
    enter(&alice, &test, "alice", "user").await;
    alice.open(&format!("http://{}{}", test.world.proxy, begun.path)).await;
    alice.until("return document.querySelector('form[action$=code] button') !== null").await;
    // A screen reader reads only what changes in an element that it knows.
    alice.run("window.said = document.querySelector('[role=status]')").await;
    // Another stream, to know when the browser gives up.
    alice.run("window.probe = new EventSource(document.querySelector('main').dataset.events)").await;
    alice.until("return window.probe.readyState === EventSource.OPEN").await;
    test.world.kill_portal().await.expect("killed");
    alice.until("return window.probe.readyState === EventSource.CLOSED").await;
    alice.until("return document.querySelector('#news')?.innerText.includes('cannot be reached')").await;
    test.world.restart_portal(&[]).await.expect("restarted");
    let view: Value = serde_json::from_str(&journey::view(&mut begun).await.expect("a view")).expect("JSON");
    let csrf = begun.csrf.clone();
    let stop = [("csrf", csrf.as_str()), ("step", &view["step"].to_string()), ("action", "cancel")];
    begun.browser.post(&format!("{}/act", begun.path), &stop).await.expect("stopped");
    alice.until("return document.querySelector('[role=status]')?.innerText.startsWith('You stopped')").await;
    assert_eq!(alice.run("return document.querySelector('#news')").await, Value::Null);
    assert_eq!(alice.run("return window.said === document.querySelector('[role=status]')").await, true);
}

/// A code that is over is not offered any longer, although nobody has done anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_over_goes_from_the_page() {
    let test = TestWorld::start(Database::Sqlite).await;
    let alice = Chromium::start(&test.path("alice")).await;
    enter(&alice, &test, "alice", "user").await;
    alice.open(&format!("http://{}/token", test.world.proxy)).await;
    alice.click("main button").await;
    alice.until("return document.querySelector('.code') !== null").await;
    sqlite(&test.world.folder.join("sealwright.db"), "UPDATE pairing SET expires_at = 0");
    alice.until("return document.querySelector('form[action$=code] button')?.innerText == 'Get a code'").await;
    assert_eq!(alice.run("return document.querySelector('.code')").await, Value::Null);
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
    rita.until("return document.querySelector('h1')?.innerText == 'This has changed'").await;
    assert_eq!(test.audited("certificate-issued").await.len(), 1);
}
