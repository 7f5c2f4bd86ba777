//! A guard in a workflow that is otherwise good.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::library::Library;

const BEFORE: &str = "workflow: fuzzed\nversion: 1\ntitle: A fuzzed guard\nstart: { by: [user] }\nsee: [owner]\ndata: { number: integer = 2, text: optional text, texts: list of text = [] }\nstates:\n  ask:\n    ask: What?\n    actions:\n      go:\n        by: owner\n        to:\n          - { when: ";
const AFTER: &str = ", to: done }\n          - { otherwise: done }\n  done: { end: success }\n";

fuzz_target!(|guard: &str| {
    let mut catalog = Catalog::new();
    catalog.add_role("user");
    let quoted = serde_json::to_string(guard).unwrap_or_default();
    let source = format!("{BEFORE}{quoted}{AFTER}");
    let _read = Library::load([("fuzzed.yaml", source.as_str())], &catalog);
});
