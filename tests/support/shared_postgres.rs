//! A PostgreSQL database for one test: in the server that all tests of a run share, or in a server of the test's own.

use std::path::Path;

use sealwright_world::postgres::SharedDatabase;

use super::postgres::Postgres;

/// A database that goes with the test.
pub struct TestDatabase {
    pub url: String,
    _place: Place,
}

#[expect(dead_code, reason = "a database or a server ends when it is dropped")]
enum Place {
    Shared(SharedDatabase),
    Own(Postgres),
}

impl TestDatabase {
    /// A database in the shared server; in a server of the test's own where none is shared.
    pub async fn start(folder: &Path) -> Self {
        match SharedDatabase::create().expect("a database") {
            Some(shared) => Self { url: shared.url.clone(), _place: Place::Shared(shared) },
            None => Self::start_alone(folder).await,
        }
    }

    /// A database in a server of the test's own, whose process and files it looks at.
    pub async fn start_alone(folder: &Path) -> Self {
        let server = Postgres::start(folder, false).await;
        Self { url: server.url.clone(), _place: Place::Own(server) }
    }
}
