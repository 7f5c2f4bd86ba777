//! Real servers for tests: started on free ports in private folders, ended with the test.

pub mod postgres;
pub mod slapd;
pub mod webdriver;

use std::path::{Path, PathBuf};

use sealwright::commands::demo::world::{Programs, World, WorldOptions};

pub use postgres::Postgres;

/// The databases that every test of the whole portal runs on.
#[derive(Clone, Copy, Debug)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// A portal with everything around it.
pub struct TestWorld {
    pub world: World,
    pub pin_file: PathBuf,
    _postgres: Option<Postgres>,
    folder: tempfile::TempDir,
}

/// The PIN that people choose in tests.
pub const PIN: &str = "73915824";

fn programs() -> Programs {
    let portal = PathBuf::from(env!("CARGO_BIN_EXE_sealwright"));
    let beside = |name: &str| {
        let path = portal.parent().expect("a folder").join(name);
        assert!(path.exists(), "{} is missing: `make test` builds it", path.display());
        path
    };
    Programs { agent: beside("sealwright-agent"), virtual_card: beside("virtual-card"), portal: portal.clone() }
}

impl TestWorld {
    /// Starts a portal with two readers and two factory-fresh cards.
    pub async fn start(database: Database) -> Self {
        Self::start_with(database, &[], "any-blank = true").await
    }

    /// The same, with variables for the portal and lines for the section `[cards]`.
    pub async fn start_with(database: Database, environment: &[(&str, &str)], cards: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::start(folder.path()).await),
        };
        let mut options = WorldOptions::new(&folder.path().join("world"), programs());
        options.database = postgres.as_ref().map(|postgres| postgres.url.clone());
        options.environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        options.cards = cards.to_owned();
        let world = World::start(options).await.expect("a world");
        let pin_file = folder.path().join("pin");
        std::fs::write(&pin_file, format!("{PIN}\n")).expect("written");
        Self { world, pin_file, _postgres: postgres, folder }
    }

    /// A path in the test's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every line that the portal has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.world.folder.join("portal.log")).expect("the log")
    }
}

/// Runs a foreign program; gives what it prints.
pub fn run(program: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> String {
    let output = std::process::Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("{program} (make test installs it): {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}
