//! The glue between workflows and the rooms: one activity, card job, condition or subject a file, in the folder of its subject.
//!
//! Each is one line of the list in its folder's `mod.rs`, and is made from [`Services`] by `From`. The lists make the catalog that workflows are
//! verified against ([`declare`]) and the registry that the engine runs ([`register`]).

mod authorities;
mod cards;
mod certificates;
mod people;
mod publication;
mod registration;

use std::sync::Arc;

use sealwright_protocol::Secret;
use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::types::UnknownSchema;
use uuid::Uuid;

use crate::cards::sealing::SealingKey;
use crate::directory::{Directory, DirectoryError};
use crate::engine::Registry;
use crate::engine::contract::{Failure, FailureClass};
use crate::issuance::Issuance;
use crate::store::Store;

pub use cards::generate_key::Attestations;
use registration::Registration;

/// What activities work with.
#[derive(Clone, Debug)]
pub struct Services {
    pub store: Store,
    pub directory: Directory,
    pub issuance: Issuance,
    pub sealing: Arc<SealingKey>,
    pub stock: Stock,
    pub attestations: Attestations,
    /// How the portal names itself to people and cards.
    pub portal: String,
}

/// Which blank cards may be personalized.
#[derive(Clone, Debug)]
pub struct Stock {
    pub any_blank: bool,
    pub serials: Arc<[String]>,
    /// The security officer's PIN that tokens come from the factory with; without it no token is taken.
    pub factory_so_pin: Option<Secret>,
}

impl Stock {
    fn has(&self, serial: &str) -> bool {
        self.any_blank || self.serials.iter().any(|known| known == serial)
    }
}

/// The lists of all subjects.
const SUBJECTS: [&[Registration]; 5] = [authorities::ALL, cards::ALL, certificates::ALL, people::ALL, publication::ALL];

fn all() -> impl Iterator<Item = &'static Registration> {
    SUBJECTS.into_iter().flatten()
}

/// Declares everything to the workflow language, by types alone: nothing is connected.
///
/// # Errors
/// [`UnknownSchema`] when a type cannot be carried.
pub fn declare(catalog: &mut Catalog) -> Result<(), UnknownSchema> {
    all().try_for_each(|registration| (registration.declare)(catalog))
}

/// Makes everything that workflows of this release may name.
pub fn register(services: &Services) -> Registry {
    let mut registry = Registry::default();
    for registration in all() {
        (registration.register)(&mut registry, services);
    }
    registry
}

/// What may fail where the directory is asked, as `retry` names it.
const DIRECTORY_FAILURES: &[FailureClass] = &[FailureClass::Unavailable, FailureClass::Timeout, FailureClass::Partial];

impl From<DirectoryError> for Failure {
    /// All of it may pass.
    fn from(error: DirectoryError) -> Self {
        Self::Retry(match error {
            DirectoryError::Unavailable => FailureClass::Unavailable,
            DirectoryError::Timeout => FailureClass::Timeout,
            DirectoryError::Partial => FailureClass::Partial,
        })
    }
}

/// An id that a workflow carries as text.
fn id(text: &str) -> Result<Uuid, Failure> {
    text.parse().map_err(|_| Failure::Fail(FailureClass::Types))
}
