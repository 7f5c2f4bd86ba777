//! The audit chain finds what was done to it behind the portal's back.

use std::sync::Arc;

use sealwright::audit::{self, Event, Origin, Problem, Sealer};
use sealwright::clock::{Clock, SystemClock};
use sealwright::store::{Store, StoreError};

/// A chain of five records, changed by one SQL statement as somebody with the database's file would.
async fn problems_after(statement: &str) -> Vec<Problem> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.db");
    let store = Store::open(&format!("sqlite:{}", path.display()), "default").await.expect("opened");
    for number in 0..5 {
        store
            .write::<_, StoreError, _, _>(move |tx| async move {
                let event = Event::RoleGranted { role: format!("role-{number}") };
                audit::record(&tx, &Origin::system("test"), None, SystemClock.now_ms(), &event).await
            })
            .await
            .expect("recorded");
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Sealer::new(store.clone(), clock).seal_all().await.expect("sealed");
    let (head, problems) = audit::verify(store.read(), SystemClock.now_ms()).await.expect("verified");
    assert_eq!(head.map(|(sequence, _)| sequence), Some(5));
    assert_eq!(problems, []);
    if !statement.is_empty() {
        crate::support::run("python3", &["-c", SCRIPT, &path.display().to_string(), statement], &[]);
    }
    audit::verify(store.read(), SystemClock.now_ms()).await.expect("verified").1
}

const SCRIPT: &str = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute(sys.argv[2])\nc.commit()";

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_nobody_touched_is_whole() {
    assert_eq!(problems_after("").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_record_is_found() {
    let problems = problems_after("UPDATE audit SET detail = '{\"role\":\"forged\"}' WHERE sequence = 3").await;
    assert_eq!(problems, [Problem::Changed { sequence: 3 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_record_is_found() {
    let problems = problems_after("DELETE FROM audit WHERE sequence = 2").await;
    assert_eq!(problems, [Problem::Missing { sequence: 2 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_seal_is_found() {
    let problems = problems_after("DELETE FROM audit_seal WHERE sequence = 2").await;
    assert!(problems.contains(&Problem::Gap { after: 1, found: 3 }), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_changed_places_are_found() {
    let swap = "UPDATE audit_seal SET audit = (SELECT id FROM audit WHERE sequence = 5 - audit_seal.sequence) \
        WHERE sequence IN (2, 3)";
    let problems = problems_after(swap).await;
    assert_eq!(problems, [Problem::Changed { sequence: 2 }, Problem::Changed { sequence: 3 }]);
}
