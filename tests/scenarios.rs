//! Every scenario holds, and together they enter every state of every workflow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sealwright::portal;
use sealwright_workflow::library::Library;
use sealwright_workflow::scenario;

use crate::support::workflows;

/// Every file of every `workflows/<subject>/scenarios/`.
fn files_in_scenarios() -> Vec<PathBuf> {
    let files_in = |folder: PathBuf| {
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let mut subjects = files_in(Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows"));
    subjects.retain(|path| path.is_dir());
    subjects.into_iter().flat_map(|subject| files_in(subject.join("scenarios"))).collect()
}

/// A scenario is found in the folder of its workflow, under a name that begins with the workflow's.
fn assert_is_beside(scenario: &Path, workflow: &str, library: &Library) {
    let file = &library.get(workflow).expect("the workflow").file;
    let expected = Path::new(file).with_file_name("scenarios").join(format!("{workflow}-"));
    let path = scenario.display().to_string();
    assert!(path.contains(expected.to_str().expect("a path")), "{path} belongs to {file}");
}

#[test]
fn scenarios_hold_and_enter_every_state() {
    let library = workflows();
    let mut entered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut failed = Vec::new();
    let mut count = 0;
    for path in files_in_scenarios() {
        let source = std::fs::read_to_string(&path).expect("a scenario");
        match scenario::run(&source, |name| library.get(name).map(AsRef::as_ref)) {
            Ok(passed) => {
                count += 1;
                assert_is_beside(&path, &passed.workflow, &library);
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
    let source = include_str!("../workflows/authorities/scenarios/issue-crl-done.yaml");
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
