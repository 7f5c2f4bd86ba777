//! The journey as a person goes it, in a real browser, with pictures of every state in `var/screenshots`.

use std::path::Path;

use sealwright::commands::demo::journey::Agent;

use crate::support::webdriver::Chromium;
use crate::support::{Database, TestWorld};

const HEADLINE: &str = "return document.querySelector('[role=status]')?.innerText";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_personalizes_a_card_in_the_browser() {
    let test = TestWorld::start(Database::Sqlite).await;
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
    assert_eq!(chromium.run("return document.querySelector('nav')").await, serde_json::Value::Null);
    chromium.pictures(&pictures, "03-token").await;
    chromium.click("main button").await;
    chromium.until("return document.querySelector('form[action$=code] button') !== null").await;
    chromium.pictures(&pictures, "04-connect").await;
    chromium.click("form[action$=code] button").await;
    let code = chromium.until("return document.querySelector('.code')?.innerText").await;
    assert_eq!(chromium.run("return document.querySelector('nav')").await, serde_json::Value::Null);
    chromium.pictures(&pictures, "05-code").await;
    let reader = test.world.readers[0].clone();
    let mut agent = Agent::start(&test.world, code.as_str().expect("a code"), &reader, Some(&test.pin_file), &[])
        .expect("an agent");
    let mut seen = Vec::new();
    while let Some(line) = agent.line().await.expect("a line") {
        if let Some(number) = line.strip_prefix("Number:") {
            // The page shows the number by itself: nobody reloads it.
            let shown = chromium.until("return document.querySelector('.number')?.innerText").await;
            assert_eq!(shown.as_str(), Some(number.trim()));
            chromium.pictures(&pictures, "06-compare").await;
            chromium.click("form[action$=confirm] button").await;
            agent.answer("y\n").await.expect("answered");
        }
        if let Some(label) = line.strip_prefix("· ") {
            seen.push(label.to_owned());
            let name = format!("07-working-{:02}", seen.len());
            chromium.pictures(&pictures, &name).await;
        }
    }
    assert!(seen.len() >= 8, "{seen:?}");
    let ready =
        "return document.querySelector('[role=status]')?.innerText == 'Your card is ready. You can take it out.'";
    chromium.until(ready).await;
    assert_eq!(chromium.run(HEADLINE).await, "Your card is ready. You can take it out.");
    chromium.run("document.querySelectorAll('details').forEach((part) => { part.open = true })").await;
    chromium.pictures(&pictures, "08-done").await;
    chromium.open(&format!("{base}/credentials")).await;
    let rows = chromium.run("return document.querySelectorAll('tbody tr').length").await;
    assert_eq!(rows, 3);
    chromium.pictures(&pictures, "09-credentials").await;
    chromium.open(&format!("{base}/nowhere/at/all")).await;
    chromium.pictures(&pictures, "10-error").await;
    // Nothing was refused by the content security policy: no inline code, no foreign request.
    let foreign = chromium
        .run("return performance.getEntriesByType('resource').filter((entry) => !entry.name.startsWith(location.origin)).length")
        .await;
    assert_eq!(foreign, 0);
}
