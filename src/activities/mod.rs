//! The glue between workflows and the other rooms, in a folder for each subject.
//!
//! Each file has one activity, card job, condition or subject lookup. It is one line of the list in its
//! folder's `mod.rs`, and is made from [`Services`] by `From`. The lists make the catalog that workflows are
//! verified against ([`declare`]) and the registry that the engine runs ([`register`]).

mod authorities;
mod cards;
mod certificates;
mod people;
mod publication;
mod registration;

use std::sync::Arc;

use sealwright_pki::signer::SignError;
use sealwright_protocol::{PinPolicy, Secret};
use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::types::UnknownSchema;
use uuid::Uuid;

use crate::cards::sealing::SealingKey;
use crate::directory::{Directory, DirectoryError, Person};
use crate::engine::Registry;
use crate::engine::contract::{Failure, FailureClass};
use crate::issuance::keys::Attestations;
use crate::issuance::{CertificateHolder, CertificationError, Issuance, NodeClock};
use crate::store::Store;

use registration::Registration;

/// What activities work with.
#[derive(Clone, Debug)]
pub struct Services {
    pub store: Store,
    pub directory: Directory,
    pub issuance: Issuance,
    pub node_clock: NodeClock,
    pub sealing: Arc<SealingKey>,
    pub stock: Stock,
    pub attestations: Attestations,
    /// Rules for the PINs that people choose.
    pub pin_policy: PinPolicy,
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

impl From<CertificationError> for Failure {
    /// Makes the instance stuck. A caller that knows of a passing failure handles it before.
    fn from(error: CertificationError) -> Self {
        Self::Fail(match error {
            CertificationError::Store(error) => return Self::Store(error),
            CertificationError::Authority => FailureClass::Authority,
            CertificationError::Profile => FailureClass::Profile,
            CertificationError::Certificate => FailureClass::Certificate,
            CertificationError::Serial => FailureClass::Serial,
            CertificationError::Encoding => FailureClass::Encoding,
            CertificationError::Lint => FailureClass::Lint,
            CertificationError::Randomness(_) => FailureClass::Randomness,
            CertificationError::Sign(SignError::Wrong) => FailureClass::Signature,
            CertificationError::Sign(SignError::Offline | SignError::Refused) => FailureClass::Signer,
        })
    }
}

impl From<&Person> for CertificateHolder {
    fn from(person: &Person) -> Self {
        Self { id: person.id.clone(), attributes: person.attributes() }
    }
}

/// An id that a workflow carries as text.
fn id(text: &str) -> Result<Uuid, Failure> {
    text.parse().map_err(|_| Failure::Fail(FailureClass::Types))
}
