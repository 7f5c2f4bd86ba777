//! The portal put together from its configuration: the one place where rooms meet.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::diagnostic::Diagnostic;
use sealwright_workflow::library::Library;
use sealwright_workflow::types::Type;

use crate::activities::{self, Attestations, Rooms, Stock};
use crate::auth::header::{HeaderSignIn, SYSTEM};
use crate::auth::roles::ROLES;
use crate::auth::service_accounts::ServiceAccounts;
use crate::auth::sessions::Sessions;
use crate::auth::{Identities, Roles};
use crate::cards::pairings::Pairings;
use crate::cards::sealing::SealingKey;
use crate::clock::Clock;
use crate::config::Configuration;
use crate::directory::Directory;
use crate::engine::{Engine, IdentityResolver, IdentityUnavailable, Parts};
use crate::issuance::{Issuance, Slot};
use crate::random;
use crate::store::Store;

/// The workflows that are built in.
const WORKFLOWS: [(&str, &str); 7] = [
    ("workflows/certify-slot.yaml", include_str!("../workflows/certify-slot.yaml")),
    ("workflows/issue-certificate.yaml", include_str!("../workflows/issue-certificate.yaml")),
    ("workflows/issue-crl.yaml", include_str!("../workflows/issue-crl.yaml")),
    ("workflows/personalize.yaml", include_str!("../workflows/personalize.yaml")),
    ("workflows/revoke-certificate.yaml", include_str!("../workflows/revoke-certificate.yaml")),
    ("workflows/settle-departure.yaml", include_str!("../workflows/settle-departure.yaml")),
    ("workflows/synchronize-people.yaml", include_str!("../workflows/synchronize-people.yaml")),
];

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

/// Reads workflow files: the built-in ones, or those of a folder.
///
/// # Errors
/// The file that cannot be read.
pub fn workflow_files(folder: Option<&Path>) -> std::io::Result<Vec<(String, String)>> {
    let Some(folder) = folder else {
        return Ok(WORKFLOWS.map(|(file, text)| (file.to_owned(), text.to_owned())).to_vec());
    };
    let mut paths: Vec<_> =
        std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.into_iter().map(|path| Ok((path.display().to_string(), std::fs::read_to_string(&path)?))).collect()
}

/// Adds what no activity declares: types for data, roles, policies.
///
/// # Errors
/// A type that the language cannot carry: a mistake of this program.
pub fn complete(catalog: &mut Catalog) -> Result<(), sealwright_workflow::types::UnknownSchema> {
    catalog.add_type::<Slot>()?;
    for (role, _) in ROLES {
        catalog.add_role(role);
    }
    catalog.add_own_role(SYSTEM);
    catalog.add_policy("personalization.slots", Type::List(Box::new(Type::Named("slot".to_owned()))));
    for about in ["gone", "disabled", "moved"] {
        catalog.add_policy(&format!("synchronization.{about}"), Type::Named("departure-action".to_owned()));
    }
    catalog.add_policy("synchronization.unpublish", Type::Bool);
    catalog.add_policy("synchronization.at_most", Type::Integer);
    Ok(())
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
        let rooms = Rooms {
            store: store.clone(),
            directory: directory.clone(),
            issuance: issuance.clone(),
            sealing: sealing.clone(),
            stock,
            attestations,
            portal: configuration.name.clone(),
        };
        let registry = activities::register(&rooms);
        let files = workflow_files(configuration.workflows.as_deref())?;
        let mut catalog = Catalog::new();
        activities::declare(&mut catalog)?;
        complete(&mut catalog)?;
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
        let synchronization = &configuration.synchronization;
        let policy = BTreeMap::from([
            ("personalization.slots".to_owned(), serde_json::to_value(&slots)?),
            ("synchronization.gone".to_owned(), serde_json::to_value(synchronization.gone)?),
            ("synchronization.disabled".to_owned(), serde_json::to_value(synchronization.disabled)?),
            ("synchronization.moved".to_owned(), serde_json::to_value(synchronization.moved)?),
            ("synchronization.unpublish".to_owned(), synchronization.unpublish.into()),
            ("synchronization.at_most".to_owned(), synchronization.at_most.into()),
        ]);
        let node = random::id().to_string();
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

/// The engine's door to the people behind logins.
#[async_trait]
impl IdentityResolver for Identities {
    async fn same_person(&self, login: &str, other: &str) -> Result<bool, IdentityUnavailable> {
        Identities::same_person(self, login, other).await.ok_or(IdentityUnavailable)
    }
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Portal").field("engine", &self.engine).finish_non_exhaustive()
    }
}
