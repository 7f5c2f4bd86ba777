//! The portal put together from its configuration: the one place where rooms meet.

mod catalog;
mod workflow_folder;
mod workflows;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use sealwright_pki::profile::{Approval, ProfileOptions};
use sealwright_protocol::Secret;
use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::diagnostic::Diagnostic;
use sealwright_workflow::library::Library;
use zeroize::Zeroizing;

use crate::activities::{self, Services, Stock};
use crate::auth::Roles;
use crate::auth::header::{HeaderSignIn, ProofError};
use crate::auth::service_accounts::ServiceAccounts;
use crate::auth::sessions::Sessions;
use crate::cards::pairings::Pairings;
use crate::cards::sealing::SealingKey;
use crate::clock::Clock;
use crate::config::{CardOptions, Configuration, SignInOptions};
use crate::directory::{Directory, Lookup, Person};
use crate::engine::rights::Unknown;
use crate::engine::{Engine, Humans, Parts};
use crate::issuance::keys::Attestations;
use crate::issuance::{self, Issuance, IssuanceError, Slot};
use crate::random;
use crate::store::{Store, logins, service_accounts};

pub use catalog::catalog;
pub use workflows::workflow_files;

/// A running portal. Cheap to clone.
#[derive(Clone)]
pub struct Portal {
    pub configuration: Arc<Configuration>,
    pub store: Store,
    pub engine: Engine,
    pub sign_in: Arc<HeaderSignIn>,
    pub sessions: Sessions,
    pub service_accounts: ServiceAccounts,
    pub roles: Roles,
    pub pairings: Pairings,
    pub sealing: Arc<SealingKey>,
    pub issuance: Issuance,
    pub clock: Arc<dyn Clock>,
}

/// Opens the configured database.
///
/// # Errors
/// What an operator must mend.
pub async fn open_store(configuration: &Configuration) -> anyhow::Result<Store> {
    let password = configuration.database_password()?;
    Ok(Store::open_with_password(&configuration.database, &configuration.tenant, password).await?)
}

/// Links and verifies workflows.
///
/// # Errors
/// Every problem of every file.
pub fn library(files: &[(String, String)], catalog: &Catalog) -> Result<Library, Vec<Diagnostic>> {
    Library::load(files.iter().map(|(file, text)| (file.as_str(), text.as_str())), catalog)
}

/// Which blank cards may be personalized.
///
/// # Errors
/// The file of the factory's PIN cannot be read, or holds none.
pub fn stock(options: &CardOptions) -> anyhow::Result<Stock> {
    let read = |path: &PathBuf| {
        let text = Zeroizing::new(std::fs::read_to_string(path).with_context(|| path.display().to_string())?);
        let pin = text.trim_end_matches(['\r', '\n']);
        let plain = (4..=64).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_graphic());
        anyhow::ensure!(plain, "{}: a security officer's PIN has 4 to 64 characters", path.display());
        Ok(Secret::new(pin.as_bytes().to_vec()))
    };
    let factory_so_pin = options.factory_so_pin_file.as_ref().map(read).transpose()?;
    Ok(Stock { any_blank: options.any_blank, serials: options.stock.clone().into(), factory_so_pin })
}

/// Whether somebody can say yes where a profile wants that.
///
/// # Errors
/// The profile, when nobody is an RA operator.
pub fn approvers(configuration: &Configuration) -> anyhow::Result<()> {
    let asks = |(_, profile): &(&String, &ProfileOptions)| profile.approval == Approval::Ra;
    match configuration.profiles.iter().find(asks) {
        Some((name, _)) if !configuration.roles.contains_key("ra-operator") => {
            anyhow::bail!(
                "the profile `{name}` wants RA operators to say yes: `[roles.ra-operator]` is to say who they are"
            )
        }
        _ => Ok(()),
    }
}

/// Who is believed when a card attests a key.
///
/// # Errors
/// The file of the authorities holds none, or is not there although attestations are required.
pub fn attestations(options: &CardOptions) -> anyhow::Result<Attestations> {
    let Some(path) = &options.attestation_authorities_file else {
        anyhow::ensure!(!options.attestation_required, "`attestation-required` needs `attestation-authorities-file`");
        return Ok(Attestations::default());
    };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let authorities = sealwright_pki::certificate::from_pem("CERTIFICATE", &text);
    anyhow::ensure!(!authorities.is_empty(), "{} holds no certificate", path.display());
    Ok(Attestations { authorities: authorities.into(), are_required: options.attestation_required })
}

impl Portal {
    /// Builds everything and starts nothing. Every time of day in it is the clock's.
    ///
    /// # Errors
    /// What an operator must mend, in words.
    pub async fn build(configuration: Configuration, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let options = &configuration.sign_in;
        let sign_in = sign_in(options).context("sign-in")?;
        let directory = Directory::new(&configuration.directory)?;
        let roles = Roles::new(configuration.roles.clone(), directory.clone())?;
        approvers(&configuration)?;
        let (issuance, slots) = issuance(&configuration)?;
        let sealing = Arc::new(SealingKey::read(&configuration.sealing_key_file)?);
        let store = open_store(&configuration).await?;
        let stock = stock(&configuration.cards)?;
        let services = Services {
            store: store.clone(),
            directory: directory.clone(),
            issuance: issuance.clone(),
            sealing: sealing.clone(),
            stock,
            attestations: attestations(&configuration.cards)?,
            portal: configuration.name.clone(),
        };
        let registry = activities::register(&services);
        let files = workflow_files(configuration.workflows.as_deref())?;
        let catalog = catalog()?;
        let library = library(&files, &catalog).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("a workflow must not run as it is:\n{}", problems.join("\n"))
        })?;
        let sources = library
            .all()
            .filter_map(|definition| {
                let (_, text) = files.iter().find(|(file, _)| *file == definition.file)?;
                Some((definition.name.text.clone(), text.clone()))
            })
            .collect();
        let policy = catalog::policies(&configuration, &slots)?;
        let node = random::id().to_string();
        let session_key = sealing.authentication_key("session")?;
        let parts = Parts {
            store: store.clone(),
            library,
            sources,
            catalog,
            registry,
            humans: Arc::new(KnownPeople { directory, store: store.clone() }),
            policy,
            clock: clock.clone(),
            node: node.clone(),
        };
        let engine = Engine::new(parts).await?;
        Ok(Self {
            sessions: Sessions::new(store.clone(), clock.clone(), configuration.sign_in.idle_minutes, session_key),
            service_accounts: ServiceAccounts::new(store.clone(), clock.clone()),
            pairings: Pairings::new(store.clone(), clock.clone(), &node),
            configuration: Arc::new(configuration),
            store,
            engine,
            sign_in: Arc::new(sign_in),
            roles,
            sealing,
            issuance,
            clock,
        })
    }
}

/// The authorities, their keys and the profiles, and what goes into a card.
///
/// # Errors
/// [`IssuanceError`].
pub fn issuance(configuration: &Configuration) -> Result<(Issuance, Vec<Slot>), IssuanceError> {
    issuance::load(
        &configuration.authorities,
        &configuration.profiles,
        &configuration.personalization.slots,
        &configuration.issuing_authority,
        &configuration.server.public_url,
        configuration.blocked_keys_file.as_deref(),
    )
}

/// Who is believed to say who somebody is.
///
/// # Errors
/// [`ProofError`].
pub fn sign_in(options: &SignInOptions) -> Result<HeaderSignIn, ProofError> {
    HeaderSignIn::new(&options.header, &options.proof, options.peers.clone())?
        .with_address_header(options.address_header.clone())
}

/// Who is who, by the directory.
struct KnownPeople {
    directory: Directory,
    store: Store,
}

#[async_trait]
impl Humans for KnownPeople {
    async fn are_one(&self, login: &str, other: &str) -> Result<bool, Unknown> {
        // A program has no eyes of its own: it decides on nothing where people are told apart, as if it were a second account of everybody's.
        if service_accounts::is_login(login) {
            return Ok(true);
        }
        if service_accounts::is_login(other) {
            return Ok(false);
        }
        let (first, second) = tokio::join!(self.directory.find(login, &[]), self.find(other));
        match (first, second) {
            (Ok(Lookup::Found(first)), Some(second)) => first.is_same_human(&second).ok_or(Unknown),
            // Somebody whom the directory does not know might be anybody.
            _ => Err(Unknown),
        }
    }
}

impl KnownPeople {
    /// By the login, or by who had it where somebody else has it now.
    async fn find(&self, login: &str) -> Option<Person> {
        match self.directory.find(login, &[]).await.ok()? {
            Lookup::Found(person) => Some(person),
            Lookup::NotFound => {
                let id = logins::person_of(self.store.read(), login).await.ok()??;
                self.directory.find_by_id(&id).await.ok()??.person
            }
            _ => None,
        }
    }
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Portal").field("engine", &self.engine).finish_non_exhaustive()
    }
}
