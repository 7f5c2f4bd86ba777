//! A workflow file: read and verified, or refused with a place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::library::Library;

fuzz_target!(|source: &str| {
    match Library::load([("fuzzed.yaml", source)], &Catalog::new()) {
        Ok(library) => assert!(library.all().count() <= 1),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                let _shown = problem.to_string();
            }
        }
    }
});
