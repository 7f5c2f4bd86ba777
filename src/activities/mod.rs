//! The glue between workflows and the rooms: one activity or card job a file, in the folder of its subject, one line
//! each in [`declare`] and [`register`].

mod authorities;
mod cards;
mod certificates;
mod people;
mod publication;

use std::sync::Arc;

use sealwright_protocol::Secret;
use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::types::UnknownSchema;
use uuid::Uuid;

use crate::cards::sealing::SealingKey;
use crate::directory::{Directory, DirectoryError};
use crate::engine::Registry;
use crate::engine::contract::{Failure, declare_activity, declare_job};
use crate::issuance::Issuance;
use crate::store::Store;

pub use cards::generate_key::Attestations;

/// What activities work with.
#[derive(Clone, Debug)]
pub struct Rooms {
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

/// Declares everything to the workflow language: nothing is connected to.
///
/// # Errors
/// [`UnknownSchema`] when a type cannot be carried.
pub fn declare(catalog: &mut Catalog) -> Result<(), UnknownSchema> {
    declare_activity::<people::find_person::FindPerson>(catalog)?;
    declare_activity::<cards::find_certificate::FindCertificate>(catalog)?;
    declare_activity::<publication::publish_certificates::PublishCertificates>(catalog)?;
    declare_activity::<certificates::prepare_certificate::PrepareCertificate>(catalog)?;
    declare_activity::<certificates::sign_certificate::SignCertificate>(catalog)?;
    declare_activity::<certificates::revoke_certificate::RevokeCertificate>(catalog)?;
    declare_activity::<certificates::certificate_status::CertificateStatus>(catalog)?;
    declare_activity::<certificates::certificates_of_person::CertificatesOfPerson>(catalog)?;
    declare_activity::<certificates::suspend_certificates::SuspendCertificates>(catalog)?;
    declare_activity::<certificates::reinstate_certificates::ReinstateCertificates>(catalog)?;
    declare_activity::<publication::unpublish_certificates::UnpublishCertificates>(catalog)?;
    declare_activity::<people::compare_people::ComparePeople>(catalog)?;
    declare_activity::<people::recheck_departure::RecheckDeparture>(catalog)?;
    declare_activity::<authorities::issue_crl::IssueCrl>(catalog)?;
    declare_job::<cards::identify_card::IdentifyCard>(catalog)?;
    declare_job::<cards::replace_factory_secrets::ReplaceFactorySecrets>(catalog)?;
    declare_job::<cards::generate_key::GenerateKeyAndCsr>(catalog)?;
    declare_job::<cards::install_certificate::InstallCertificate>(catalog)?;
    catalog.add_condition(authorities::key_online::NAME);
    catalog.add_thing(certificates::lookup::TYPE);
    Ok(())
}

/// Everything that workflows of this release may name.
pub fn register(rooms: &Rooms) -> Registry {
    let mut registry = Registry::default();
    registry.add_activity(people::find_person::FindPerson::new(rooms));
    registry.add_activity(cards::find_certificate::FindCertificate);
    registry.add_activity(publication::publish_certificates::PublishCertificates::new(rooms));
    registry.add_activity(certificates::prepare_certificate::PrepareCertificate::new(rooms));
    registry.add_activity(certificates::sign_certificate::SignCertificate::new(rooms));
    registry.add_activity(certificates::revoke_certificate::RevokeCertificate);
    registry.add_activity(certificates::certificate_status::CertificateStatus);
    registry.add_activity(certificates::certificates_of_person::CertificatesOfPerson);
    registry.add_activity(certificates::suspend_certificates::SuspendCertificates);
    registry.add_activity(certificates::reinstate_certificates::ReinstateCertificates);
    registry.add_activity(publication::unpublish_certificates::UnpublishCertificates::new(rooms));
    registry.add_activity(people::compare_people::ComparePeople::new(rooms));
    registry.add_activity(people::recheck_departure::RecheckDeparture::new(rooms));
    registry.add_activity(authorities::issue_crl::IssueCrl::new(rooms));
    registry.add_job(cards::identify_card::IdentifyCard::new(rooms));
    registry.add_job(cards::replace_factory_secrets::ReplaceFactorySecrets::new(rooms));
    registry.add_job(cards::generate_key::GenerateKeyAndCsr::new(rooms));
    registry.add_job(cards::install_certificate::InstallCertificate::new(rooms));
    registry.add_condition(authorities::key_online::KeyOnline::new(rooms));
    registry.add_things(certificates::lookup::Certificates);
    registry
}

/// What may fail where the directory is asked, as `retry` names it.
const DIRECTORY_FAILURES: &[&str] = &["unavailable", "timeout", "partial"];

impl From<DirectoryError> for Failure {
    /// All of it may pass.
    fn from(error: DirectoryError) -> Self {
        Self::Retry { class: error.class() }
    }
}

/// An id that a workflow carries as text.
fn id(text: &str) -> Result<Uuid, Failure> {
    text.parse().map_err(|_| Failure::Fail { class: "types" })
}
