//! A database for one test in the PostgreSQL server that all tests of a run share.

use std::process::{Command, Stdio};

use crate::random;

/// The URL of the server, without a database: `make test` starts it.
const SERVER: &str = "SEALWRIGHT_TEST_POSTGRES";
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// A database that goes with the test.
pub struct SharedDatabase {
    pub url: String,
    server: String,
    name: String,
}

impl SharedDatabase {
    /// Creates a database; `None` where no server is shared.
    ///
    /// # Errors
    /// The server does not make it.
    #[expect(clippy::disallowed_methods, reason = "the run says where its server is")]
    pub fn create() -> anyhow::Result<Option<Self>> {
        let Ok(server) = std::env::var(SERVER) else { return Ok(None) };
        let name = format!("test_{}", random::token()?.replace('-', "_").to_lowercase());
        let made = maintain(&server, "createdb", &[&name]).status()?;
        anyhow::ensure!(made.success(), "the database {name} was not made");
        Ok(Some(Self { url: format!("{server}/{name}"), server, name }))
    }
}

impl Drop for SharedDatabase {
    fn drop(&mut self) {
        // Connections that are still open end with the database.
        drop(maintain(&self.server, "dropdb", &["--force", &self.name]).spawn());
    }
}

fn maintain(server: &str, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(format!("{PROGRAMS}/{program}"));
    command.args(["--maintenance-db", &format!("{server}/postgres")]).args(arguments);
    // A test does not wait for the one that drops its database.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
