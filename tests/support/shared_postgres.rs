//! A PostgreSQL database for one test: in the server that all tests of a run share, or in a server of the test's own.

use std::path::Path;
use std::process::{Command, Stdio};

use super::postgres::{PROGRAMS, Postgres};

/// The URL of the shared server, without a database: `make test` starts it.
const SHARED: &str = "SEALWRIGHT_TEST_POSTGRES";

/// A database that goes with the test.
pub struct TestDatabase {
    pub url: String,
    place: Place,
}

enum Place {
    Shared { server: String, database: String },
    Own(#[expect(dead_code, reason = "the server ends when it is dropped")] Postgres),
}

impl TestDatabase {
    /// A database in the shared server; in a server of the test's own where none is shared.
    #[expect(clippy::disallowed_methods, reason = "the run says where its server is")]
    pub async fn start(folder: &Path) -> Self {
        let Ok(server) = std::env::var(SHARED) else { return Self::start_alone(folder).await };
        let database = format!("test_{}", sealwright::random::id().simple());
        let made = maintain(&server, "createdb", &[&database]).status().expect("createdb");
        assert!(made.success(), "the database {database} was not made");
        Self { url: format!("{server}/{database}"), place: Place::Shared { server, database } }
    }

    /// A database in a server of the test's own, whose process and files it looks at.
    pub async fn start_alone(folder: &Path) -> Self {
        let server = Postgres::start(folder, false).await;
        Self { url: server.url.clone(), place: Place::Own(server) }
    }
}

/// A program that makes or drops a database of a server.
fn maintain(server: &str, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(Path::new(PROGRAMS).join(program));
    command.args(["--maintenance-db", &format!("{server}/postgres")]).args(arguments).stdout(Stdio::null());
    command
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Place::Shared { server, database } = &self.place {
            // Connections that are still open end with the database.
            drop(maintain(server, "dropdb", &["--force", database]).spawn());
        }
    }
}
