//! An instance runs to its end under the version that it began with; a released version is never changed.

use std::path::Path;

use sealwright_world::journey;

use crate::on_both_databases;
use crate::support::{Database, TestWorld, workflows};

on_both_databases! {
    an_instance_keeps_its_version_and_a_released_one_is_not_changed,
}

/// The built-in workflows in a folder, one of them changed; the configuration names the folder.
fn release(test: &TestWorld, from: &str, to: &str) {
    let folder = test.path("workflows");
    std::fs::create_dir_all(&folder).expect("a folder");
    for (file, text) in sealwright::portal::workflow_files(None).expect("the built-in workflows") {
        let name = Path::new(&file).file_name().expect("a name");
        let text = if file.ends_with("personalize.yaml") { text.replace(from, to) } else { text };
        std::fs::write(folder.join(name), text).expect("written");
    }
    let config = test.world.folder.join("sealwright.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let text = text.lines().filter(|line| !line.starts_with("workflows = ")).collect::<Vec<_>>().join("\n");
    std::fs::write(&config, format!("workflows = \"{}\"\n{text}\n", folder.display())).expect("written");
}

async fn an_instance_keeps_its_version_and_a_released_one_is_not_changed(database: Database) {
    let mut test = TestWorld::start(database).await;
    let mut alice = journey::begin(&test.world, "alice").await.expect("begun");
    let old = "title: Personalize your smart card";
    let version = workflows().get("personalize").expect("the workflow").version;
    test.world.kill_portal().await.expect("killed");
    release(
        &test,
        &format!("version: {version}\n{old}"),
        &format!("version: {}\ntitle: The second version", version + 1),
    );
    test.world.restart_portal(&[]).await.expect("restarted");
    let page = alice.browser.get(&alice.path).await.expect("the page");
    assert!(page.contains("<h1>Personalize your smart card</h1>"), "{page}");
    let mut bob = journey::begin(&test.world, "bob").await.expect("begun");
    let page = bob.browser.get(&bob.path).await.expect("the page");
    assert!(page.contains("<h1>The second version</h1>"), "{page}");
    // Alice goes on under the first version.
    journey::offer(&mut alice).await.expect("a code");
    // The same version with another text is refused: the portal does not start.
    test.world.kill_portal().await.expect("killed");
    release(&test, old, "title: Changed in secret");
    assert!(test.world.restart_portal(&[]).await.is_err());
    let refused = format!("the workflow personalize version {version} was released with another text");
    assert!(test.log().contains(&refused), "{}", test.log());
}
