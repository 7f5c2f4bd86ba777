//! The portal put together from its configuration: the one place where rooms meet.

mod catalog;
mod identity;
mod workflow_folder;
mod workflows;

use std::sync::Arc;

use anyhow::Context;
use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::diagnostic::Diagnostic;
use sealwright_workflow::library::Library;

use crate::activities::{self, Services, Stock};
use crate::audit::Refusals;
use crate::auth::header::HeaderSignIn;
use crate::auth::service_accounts::ServiceAccounts;
use crate::auth::sessions::Sessions;
use crate::auth::{Identities, Roles};
use crate::cards::pairings::Pairings;
use crate::cards::sealing::SealingKey;
use crate::clock::Clock;
use crate::config::Configuration;
use crate::directory::Directory;
use crate::engine::{Engine, Parts};
use crate::issuance::keys::Attestations;
use crate::issuance::{Issuance, NodeClock};
use crate::random;
use crate::store::Store;

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
    pub node_clock: NodeClock,
    pub clock: Arc<dyn Clock>,
    pub refusals: Refusals,
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

impl Portal {
    /// Builds everything and starts nothing. Every time of day in it is the clock's.
    ///
    /// # Errors
    /// What an operator must mend, in words.
    pub async fn build(configuration: Configuration, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let sign_in = configuration.sign_in.header_sign_in().context("sign-in")?;
        let directory = Directory::new(&configuration.directory)?;
        let roles = Roles::new(configuration.roles.clone(), directory.clone())?;
        configuration.check_approvals()?;
        let (issuance, slots) = configuration.issuance()?;
        let sealing = Arc::new(SealingKey::read(&configuration.sealing_key_file)?);
        let store = open_store(&configuration).await?;

        let cards = &configuration.cards;
        let stock = Stock {
            any_blank: cards.any_blank,
            serials: cards.stock.clone().into(),
            factory_so_pin: cards.factory_so_pin()?,
        };
        let attestations = Attestations {
            authorities: cards.attestation_authorities()?.into(),
            are_required: cards.attestation_required,
        };
        let node_clock = NodeClock::new(store.clone(), clock.clone());
        let services = Services {
            store: store.clone(),
            directory: directory.clone(),
            issuance: issuance.clone(),
            node_clock: node_clock.clone(),
            sealing: sealing.clone(),
            stock,
            attestations,
            pin_policy: cards.pin.policy(),
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
        let refusals = Refusals::default();
        let session_key = sealing.authentication_key("session")?;
        let parts = Parts {
            store: store.clone(),
            library,
            sources,
            catalog,
            registry,
            identities: Arc::new(Identities::new(directory, store.clone())),
            policy,
            clock: clock.clone(),
            node: node.clone(),
            refusals: refusals.clone(),
        };
        let engine = Engine::new(parts).await?;

        Ok(Self {
            sessions: Sessions::new(
                store.clone(),
                clock.clone(),
                configuration.sign_in.idle_minutes,
                session_key,
                refusals.clone(),
            ),
            service_accounts: ServiceAccounts::new(store.clone(), clock.clone()),
            pairings: Pairings::new(store.clone(), clock.clone(), &node, refusals.clone()),
            configuration: Arc::new(configuration),
            store,
            engine,
            sign_in: Arc::new(sign_in),
            roles,
            sealing,
            issuance,
            node_clock,
            clock,
            refusals,
        })
    }
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Portal").field("engine", &self.engine).finish_non_exhaustive()
    }
}
