//! Each rule accepts its good fixtures and refuses its bad ones, and a refusal names the line that the fixture marks with `# here`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::catalog::catalog;
use crate::diagnostic::Diagnostic;
use crate::library::Library;
use crate::verify::RULES;

fn fixtures(kind: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/definitions").join(kind);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("the fixture"))
        })
        .collect()
}

/// A fixture may hold several workflows, separated by a line `=====`.
fn load(name: &str, source: &str) -> Result<Library, Vec<Diagnostic>> {
    let parts: Vec<&str> = source.split("=====\n").collect();
    Library::load(parts.iter().map(|part| (name, *part)), &catalog())
}

fn rule_of(file: &str) -> &str {
    RULES
        .iter()
        .map(|(name, _)| *name)
        .chain(["syntax"])
        .find(|rule| file.starts_with(rule))
        .unwrap_or_else(|| panic!("{file} names no rule"))
}

#[test]
fn good_fixtures_are_accepted() {
    for (name, source) in fixtures("ok") {
        if let Err(problems) = load(&name, &source) {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{name} is refused:\n{}", problems.join("\n"));
        }
    }
}

#[test]
fn bad_fixtures_are_refused_by_their_rule_at_the_marked_line() {
    for (name, source) in fixtures("bad") {
        let rule = rule_of(&name);
        let problems = load(&name, &source).expect_err(&name);
        let mark = |part: &str| part.lines().position(|line| line.contains("# here")).map(|line| line + 1);
        let marked = source.split("=====\n").find_map(mark).unwrap_or_else(|| panic!("{name} marks no line `# here`"));
        let found = problems.iter().any(|problem| problem.rule == rule && problem.at.line == marked);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(found, "{name}: no `{rule}` at line {marked}:\n{}", problems.join("\n"));
    }
}

#[test]
fn every_rule_has_a_good_and_a_bad_fixture() {
    for kind in ["ok", "bad"] {
        let covered: BTreeSet<String> = fixtures(kind).iter().map(|(name, _)| rule_of(name).to_owned()).collect();
        for (rule, _) in RULES {
            assert!(covered.contains(rule), "the rule `{rule}` has no fixture in {kind}");
        }
    }
}

#[test]
fn a_problem_shows_its_line_with_a_caret() {
    let source =
        "workflow: fixture\nversion: 1\ntitle: A fixture\nstart: { by: [usr] }\nstates:\n  done: { end: success }\n";
    let problems = load("fixture.yaml", source).expect_err("refused");
    let text = problems.first().expect("a problem").to_string();
    let expected = "fixture.yaml:4:15: roles: there is no role `usr`\n     4 | start: { by: [usr] }\n       |               ^\n    help: did you mean `user`?";
    assert_eq!(text, expected);
}
