//! Every scenario holds, and together they enter every state of every workflow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sealwright::portal;
use sealwright_workflow::scenario;

use crate::support::workflows;

#[test]
fn scenarios_hold_and_enter_every_state() {
    let library = workflows();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows/scenarios");
    let mut entered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the scenarios") {
        let path = entry.expect("an entry").path();
        let source = std::fs::read_to_string(&path).expect("a scenario");
        match scenario::run(&source, |name| library.get(name).map(AsRef::as_ref)) {
            Ok(passed) => {
                count += 1;
                entered.entry(passed.workflow).or_default().extend(passed.states);
            }
            Err(error) => failed.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for definition in library.all() {
        let entered = entered.get(&definition.name.text).cloned().unwrap_or_default();
        let missing: Vec<&str> = definition
            .states
            .iter()
            .map(|state| state.name.text.as_str())
            .filter(|state| !entered.contains(*state))
            .collect();
        assert!(missing.is_empty(), "no scenario enters {missing:?} of {}", definition.name.text);
    }
    println!("{count} scenarios");
}

/// What nobody reads would be a check that nobody makes.
#[test]
fn a_word_that_no_scenario_has_is_refused() {
    let library = workflows();
    let source = include_str!("../workflows/scenarios/issue-crl-done.yaml");
    let run = |source: &str| scenario::run(source, |name| library.get(name).map(AsRef::as_ref));
    assert!(run(source).is_ok());
    for (word, other) in [("scenario:", "called:"), ("owner:", "own:"), ("effect:", "efect:")] {
        let failed = run(&source.replace(word, other)).expect_err(other).to_string();
        assert!(failed.contains(other.trim_end_matches(':')), "{failed}");
    }
    // Each step says what it expects.
    assert!(run(&source.replacen("effect: do pki.issue-crl, ", "", 1)).is_err());
}

#[test]
fn the_file_on_disk_is_the_one_that_is_built_in() {
    for (file, text) in portal::workflow_files(None).expect("the built-in workflows") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        assert_eq!(std::fs::read_to_string(path).expect("the file"), text);
    }
}
