//! Real servers for tests: started on free ports in private folders, ended with the test.

pub mod client;
pub mod postgres;
pub mod proxy;
pub mod shared_postgres;
pub mod slapd;
pub mod softhsm;
pub mod strace;
mod tools;
pub mod webdriver;
pub mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sealwright::hsm::HsmOptions;
use sealwright::portal;
use sealwright::store::audits::AuditRecord;
use sealwright::store::{Store, audits};
use sealwright_workflow::library::Library;
use sealwright_world::evidence;
use sealwright_world::journey::{self, Agent, Begun};
use sealwright_world::world::{ForeignDirectory, Programs, TokenOptions, World, WorldOptions};
use serde_json::Value;

pub use shared_postgres::TestDatabase;
use softhsm::SoftHsm;
pub use tools::*;

/// Runs tests of the whole portal on both databases: each name is a function of this module that takes the database.
#[macro_export]
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$name($crate::support::Database::Sqlite).await;
            }
            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgres() {
                super::$name($crate::support::Database::Postgres).await;
            }
        })*
    };
}

/// Runs tests of a seam that no database is a part of: on SQLite, and in `make chaos` on PostgreSQL too.
#[macro_export]
macro_rules! on_either_database {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$name($crate::support::Database::Sqlite).await;
            }

            mod chaos {
                #[tokio::test(flavor = "multi_thread")]
                async fn on_postgres() {
                    super::super::$name($crate::support::Database::Postgres).await;
                }
            }
        })*
    };
}

/// The databases that every test of the whole portal runs on.
#[derive(Clone, Copy, Debug)]
pub enum Database {
    Sqlite,
    Postgres,
    /// In a server of the test's own, whose process and files it looks at.
    OwnPostgres,
}

impl Database {
    /// The same in a server of the test's own.
    pub fn alone(self) -> Self {
        match self {
            Self::Postgres => Self::OwnPostgres,
            other => other,
        }
    }
}

/// A portal with everything around it.
pub struct TestWorld {
    pub world: World,
    pub pin_file: PathBuf,
    /// Where the person has a token instead of a PIV card.
    pub token: Option<SoftHsm>,
    postgres: Option<TestDatabase>,
    folder: tempfile::TempDir,
}

/// The kinds of card that the agent has a driver for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A virtual PIV card in a reader of pcscd.
    PivCard,
    /// A token of SoftHSM2's PKCS#11 module, with a PIN of the security officer and one of the person as from a factory.
    Token,
}

/// The algorithms of the demo's profile for authentication, and the same with the faster one first.
const RSA_FIRST: &str = "[\"rsa-2048\", \"p-256\"]";
const RSA_LAST: &str = "[\"p-256\", \"rsa-2048\"]";

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

    /// The same, whose card makes the RSA key that the demo's profiles ask for.
    pub async fn start_with_rsa(database: Database) -> Self {
        Self::start_from(database, |options| options.profiles = options.profiles.replace(RSA_LAST, RSA_FIRST)).await
    }

    /// The same, with variables for the portal and lines for the section `[cards]`.
    pub async fn start_with(database: Database, environment: &[(&str, &str)], cards: &str) -> Self {
        Self::start_from(database, |options| {
            options.environment = variables(environment);
            options.cards = cards.to_owned();
        })
        .await
    }

    /// The same, where the person has a card of this kind, and with profiles of the test's own; `quirks` go to the module.
    pub async fn start_with_card(database: Database, kind: Kind, profiles: Option<&str>, quirks: &str) -> Self {
        let profiles = |options: &mut WorldOptions| {
            options.profiles = profiles.map_or(options.profiles.clone(), ToOwned::to_owned);
        };
        match kind {
            Kind::PivCard => Self::start_from(database, profiles).await,
            Kind::Token => Self::start_with_person_token(database, Some(softhsm::SO_PIN), quirks, profiles).await,
        }
    }

    /// The same, with cards that attest their keys under an authority of the test's; `strict` ones do not sign with the key of key management.
    /// `says` is further lines of the portal's section `[cards]`, with `{authorities}` for the authority's file.
    pub async fn start_with_attesting_cards(profiles: Option<&str>, strict: bool, says: &str) -> Self {
        let programs = programs();
        Self::start_from(Database::Sqlite, |options| {
            let folder = options.folder.parent().expect("a folder").join("attestation").display().to_string();
            let card = programs.virtual_card.display().to_string();
            run(&card, &["attestation-authority", "--directory", &folder], &[]);
            options.card_arguments = vec!["--attestation".to_owned(), folder.clone()];
            options.card_arguments.extend(strict.then(|| "--strict".to_owned()));
            let says = says.replace("{authorities}", &format!("{folder}/authority.pem"));
            options.cards = format!("{}\n{says}", options.cards);
            options.profiles = profiles.map_or(options.profiles.clone(), ToOwned::to_owned);
        })
        .await
    }

    /// The same, where the person has a token, and the portal is told this PIN of the factory's security officer.
    pub async fn start_with_factory_so_pin(pin: Option<&str>) -> Self {
        Self::start_with_person_token(Database::Sqlite, pin, "", |_| {}).await
    }

    async fn start_with_person_token(
        database: Database,
        factory_so_pin: Option<&str>,
        quirks: &str,
        change: impl FnOnce(&mut WorldOptions),
    ) -> Self {
        let mut token = None;
        let mut test = Self::start_from(database, |options| {
            let folder = options.folder.parent().expect("a folder");
            token = Some(SoftHsm::start(folder));
            if let Some(pin) = factory_so_pin {
                let file = folder.join("factory-so-pin");
                sealwright_world::private_file(&file, &format!("{pin}\n")).expect("written");
                options.cards = format!("{}\nfactory-so-pin-file = \"{}\"", options.cards, file.display());
            }
            // SoftHSM2 makes an RSA key in no time.
            options.profiles = options.profiles.replace(RSA_LAST, RSA_FIRST);
            change(options);
        })
        .await;
        let url = test.world.agent_url.clone();
        let module = format!("[[modules]]\npath = \"{}\"\nquirks = {{ {quirks} }}\n", softhsm::MODULE);
        test.agents_connect_to(&url, &module);
        test.token = token;
        test
    }

    /// The same, where so many RA operators decide on signature certificates.
    pub async fn start_with_approvals(database: Database, approvals: u32) -> Self {
        Self::start_from(database, |options| ask_for_approvals(options, approvals)).await
    }

    /// The same, on a directory of the test's own.
    pub async fn start_on(database: Database, directory: ForeignDirectory, approvals: u32) -> Self {
        Self::start_from(database, |options| {
            ask_for_approvals(options, approvals);
            options.directory = Some(directory);
        })
        .await
    }

    /// The same, where a token keeps the issuing authority's key.
    pub async fn start_with_token(database: Database, token: HsmOptions) -> Self {
        let HsmOptions { module, token, pin_file, worker, .. } = token;
        let token = TokenOptions { module, token, pin_file, worker };
        Self::start_from(database, |options| options.hsm = Some(token)).await
    }

    /// The same, with another proof of the proxy than the shared secret: the section `[sign-in.proof]`.
    pub async fn start_with_proof(database: Database, proof: String) -> Self {
        Self::start_from(database, |options| options.proof = Some(proof)).await
    }

    async fn start_from(database: Database, change: impl FnOnce(&mut WorldOptions)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(TestDatabase::start(folder.path()).await),
            Database::OwnPostgres => Some(TestDatabase::start_alone(folder.path()).await),
        };
        // A card takes seconds to make an RSA key: `journey::two_certificates` and the suite of the drivers have some made.
        let mut options = WorldOptions::new(&folder.path().join("world"), programs());
        options.profiles = options.profiles.replace(RSA_FIRST, RSA_LAST);
        options.database = postgres.as_ref().map(|postgres| postgres.url.clone());
        change(&mut options);
        let world = World::start(options).await.expect("a world");
        let pin_file = folder.path().join("pin");
        std::fs::write(&pin_file, format!("{PIN}\n")).expect("written");
        Self { world, pin_file, token: None, postgres, folder }
    }

    /// Agents of this test connect to `url`, and trust it; further lines of the agent's configuration may follow.
    pub fn agents_connect_to(&mut self, url: &str, lines: &str) {
        let config = self.world.folder.join("agent.toml");
        let text = std::fs::read_to_string(&config).expect("a configuration");
        let text = text.replace("trust = [", &format!("trust = [\"{url}\", "));
        std::fs::write(&config, format!("{text}{lines}")).expect("written");
        self.world.agent_url = url.to_owned();
    }

    /// Where the database is, if it is a server.
    pub fn database_url(&self) -> Option<&str> {
        self.postgres.as_ref().map(|postgres| postgres.url.as_str())
    }

    /// The first process of the PostgreSQL server, as its own file says.
    pub fn database_process(&self) -> Option<u32> {
        let file = std::fs::read_to_string(self.path("postgres/cluster/postmaster.pid")).ok()?;
        file.lines().next()?.parse().ok()
    }

    /// A path in the test's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The files of this test, the database's and its journal too, that hold this text.
    pub fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let (mut folders, mut found) = (vec![self.folder.path().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let kind = entry.file_type().expect("a kind");
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    // A database takes files away meanwhile.
                    let bytes = std::fs::read(entry.path()).unwrap_or_default();
                    found.extend(String::from_utf8_lossy(&bytes).contains(text).then(|| entry.path()));
                }
            }
        }
        found
    }

    /// Alice, signed in, with a personalization that waits for her card.
    pub async fn alice(&self) -> Begun {
        journey::begin(&self.world, "alice").await.expect("begun")
    }

    /// An agent at the first reader, with the right PIN.
    pub fn agent(&self, code: &str) -> Agent {
        self.agent_with(code, Some(&self.pin_file), &[])
    }

    /// The same, with another PIN file or none, and variables.
    pub fn agent_with(&self, code: &str, pin_file: Option<&Path>, environment: &[(&str, &str)]) -> Agent {
        let mut environment = variables(environment);
        // Why a card refused is among its last words.
        environment.push(("RUST_LOG".to_owned(), "sealwright_agent=warn".to_owned()));
        let mut reader = self.world.readers[0].as_str();
        if let Some(token) = &self.token {
            environment.push(("SOFTHSM2_CONF".to_owned(), token.configuration().display().to_string()));
            reader = "SoftHSM";
        }
        Agent::start(&self.world, code, reader, pin_file, &environment).expect("an agent")
    }

    /// An agent that sees both readers.
    pub fn agent_at_both_readers(&self, code: &str, pin_file: Option<&Path>) -> Agent {
        Agent::start(&self.world, code, "Virtual reader", pin_file, &[]).expect("an agent")
    }

    /// A file with a PIN in it.
    pub fn pin_file(&self, pin: &str) -> PathBuf {
        let path = self.path(&format!("pin-{pin}"));
        std::fs::write(&path, format!("{pin}\n")).expect("written");
        path
    }

    /// What yubico-piv-tool says of the first reader's card.
    pub async fn piv(&self, arguments: &[&str]) -> String {
        evidence::piv(&self.world, &self.world.readers[0], arguments).await.expect("yubico-piv-tool")
    }

    /// Waits until the portal has been killed at the fail point that it was started with.
    pub async fn until_portal_ends(&mut self) {
        let mut tries = 0;
        while !self.world.portal_has_ended().expect("a process") {
            tries += 1;
            assert!(tries < 1200, "the portal did not reach the fail point within a minute\n{}", self.log());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The audit's rows of one kind, read from the database that the portal writes.
    pub async fn audited(&self, event: &str) -> Vec<AuditRecord> {
        let url = match &self.postgres {
            Some(postgres) => postgres.url.clone(),
            None => format!("sqlite:{}/sealwright.db", self.world.folder.display()),
        };
        let store = Store::open(&url, "default").await.expect("the database");
        audits::of_event(store.read(), event, 100).await.expect("rows")
    }

    /// The number of the list that is published now; the list itself is in `file`, DER.
    pub async fn list_number(&self, file: &str) -> i64 {
        let path = self.path(file).display().to_string();
        let answer = reqwest::get(format!("{}/pki/crl/issuing.crl", self.world.public_url)).await.expect("an answer");
        std::fs::write(&path, answer.bytes().await.expect("a list")).expect("written");
        let number = run("openssl", &["crl", "-inform", "DER", "-noout", "-crlnumber", "-in", &path], &[]);
        let number = number.trim().trim_start_matches("crlNumber=").trim_start_matches("0x");
        i64::from_str_radix(number, 16).expect("a number")
    }

    /// Every line that the portal has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.world.folder.join("portal.log")).expect("the log")
    }
}

impl Drop for TestWorld {
    /// What the portal said at last, where a test has failed: its folder is gone afterwards.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.world.folder.join("portal.log")).unwrap_or_default();
            // Pages that were looked at say little.
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("\"method\":\"GET\"")).collect();
            eprintln!("the portal's log ends with:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// The workflows that are built in.
pub fn workflows() -> Library {
    let files = portal::workflow_files(None).expect("the built-in workflows");
    portal::library(&files, &portal::catalog().expect("the catalog")).expect("verified workflows")
}

/// Has so many RA operators decide on signature certificates.
fn ask_for_approvals(options: &mut WorldOptions, approvals: u32) {
    let title = "title = \"Signatures\"\n";
    let asks = format!("{title}approval = \"ra\"\napprovals = {approvals}\n");
    if approvals > 0 {
        // When its key is made, with an agent that waits.
        let each = "[personalization]\napprovals = \"each\"\n";
        options.profiles = options.profiles.replace(title, &asks).replace("[personalization]\n", each);
    }
}

/// The instance as the API shows it.
pub async fn view(begun: &mut Begun) -> Value {
    let view = journey::view(begun).await.expect("a view");
    serde_json::from_str(&view).expect("JSON")
}

/// The instance as the API shows it, once it has ended.
pub async fn ended(begun: &mut Begun) -> Value {
    let path = format!("/api/v1/instances/{}", begun.instance);
    let over = |view: &str| !view.contains("\"status\":\"running\"");
    let view = begun.browser.until(&path, PATIENCE, PAUSE, over).await.expect("an end");
    serde_json::from_str(&view).expect("JSON")
}

/// The page, once it shows `text`.
pub async fn shows(begun: &mut Begun, text: &str) -> String {
    begun.browser.until(&begun.path, PATIENCE, PAUSE, |page| page.contains(text)).await.expect("the page")
}

/// A further code from the page; `None` when no card is waited for any more.
pub async fn new_code(begun: &mut Begun) -> Option<String> {
    try_new_code(begun).await.expect("a new code")
}

/// The same of a page that may say that it cannot be given now.
pub async fn try_new_code(begun: &mut Begun) -> anyhow::Result<Option<String>> {
    let (path, csrf) = (begun.path.clone(), begun.csrf.clone());
    begun.browser.post(&format!("{path}/code"), &[("csrf", &csrf)]).await?;
    let page = begun.browser.get(&path).await?;
    Ok(journey::between(&page, "<code class=\"code\">", "</code>"))
}

/// Starts anew on the same page, with another code.
pub async fn start_again(begun: &mut Begun) -> String {
    let csrf = begun.csrf.clone();
    begun.path = begun.browser.post("/start/personalize", &[("csrf", &csrf)]).await.expect("started");
    begun.instance = begun.path.trim_start_matches("/instances/").to_owned();
    journey::offer(begun).await.expect("a code")
}

/// How long a page may take, at most; tests look at pages, they never wait for a time.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

pub fn variables(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
