//! What an earlier release has left: `tests/fixtures` says of each what is in it.

use std::path::PathBuf;

use sealwright::store::instances::Filter;
use sealwright::store::{Store, audits, instances};

use crate::on_both_databases;
use crate::support::{Database, TestDatabase, run};

on_both_databases! {
    what_the_first_release_left_is_read,
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/f6cf88a").join(name)
}

/// Open personalizations, a question that one of two operators has answered, and the audit are there.
async fn what_the_first_release_left_is_read(database: Database) {
    let folder = tempfile::tempdir().expect("a folder");
    let (url, _database) = match database {
        Database::Sqlite => {
            let copy = folder.path().join("sealwright.db");
            std::fs::copy(fixture("sqlite/sealwright.db"), &copy).expect("copied");
            (format!("sqlite:{}", copy.display()), None)
        }
        Database::Postgres | Database::OwnPostgres => {
            let database = TestDatabase::start(folder.path()).await;
            let dump = fixture("postgres/sealwright.sql").display().to_string();
            run("psql", &["--quiet", "--set", "ON_ERROR_STOP=1", "--file", &dump, &database.url], &[]);
            (database.url.clone(), Some(database))
        }
    };
    let store = Store::open(&url, "default").await.expect("opened");
    let roots =
        instances::list(store.read(), &Filter { only_roots: true, ..Filter::default() }, 100).await.expect("a list");
    let open = |owner: &str| roots.iter().filter(|root| root.is_open() && root.owner == owner).count();
    assert_eq!(["alice", "dora", "erik"].map(open), [1, 1, 1]);
    let parked = roots.iter().filter(|root| root.is_open() && root.owner.starts_with("bob ("));
    assert_eq!(parked.count(), 1, "{roots:#?}");
    assert_eq!(audits::of_event(store.read(), "certificate-issued", 100).await.expect("rows").len(), 3);
}
