//! The glue between workflows and the rooms: one activity or card job a file, one line each in [`declare`] and [`register`].

mod certificate_status;
mod certificates;
mod certificates_of_person;
mod compare_people;
mod find_certificate;
mod find_person;
mod generate_key;
mod identify_card;
mod install_certificate;
mod issue_crl;
mod key_online;
mod prepare_certificate;
mod publish_certificates;
mod recheck_departure;
mod reinstate_certificates;
mod replace_factory_secrets;
mod revoke_certificate;
mod sign_certificate;
mod suspend_certificates;
mod unpublish_certificates;

use std::sync::Arc;

use sealwright_protocol::{Bytes, Refusal, Secret};
use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::types::UnknownSchema;
use uuid::Uuid;

use crate::cards::sealing::SealingKey;
use crate::directory::{Directory, DirectoryError};
use crate::engine::Registry;
use crate::engine::contract::{Failure, declare_activity, declare_job};
use crate::issuance::Issuance;
use crate::random;
use crate::store::Store;

pub use generate_key::Attestations;

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
    declare_activity::<find_person::FindPerson>(catalog)?;
    declare_activity::<find_certificate::FindCertificate>(catalog)?;
    declare_activity::<publish_certificates::PublishCertificates>(catalog)?;
    declare_activity::<prepare_certificate::PrepareCertificate>(catalog)?;
    declare_activity::<sign_certificate::SignCertificate>(catalog)?;
    declare_activity::<revoke_certificate::RevokeCertificate>(catalog)?;
    declare_activity::<certificate_status::CertificateStatus>(catalog)?;
    declare_activity::<certificates_of_person::CertificatesOfPerson>(catalog)?;
    declare_activity::<suspend_certificates::SuspendCertificates>(catalog)?;
    declare_activity::<reinstate_certificates::ReinstateCertificates>(catalog)?;
    declare_activity::<unpublish_certificates::UnpublishCertificates>(catalog)?;
    declare_activity::<compare_people::ComparePeople>(catalog)?;
    declare_activity::<recheck_departure::RecheckDeparture>(catalog)?;
    declare_activity::<issue_crl::IssueCrl>(catalog)?;
    declare_job::<identify_card::IdentifyCard>(catalog)?;
    declare_job::<replace_factory_secrets::ReplaceFactorySecrets>(catalog)?;
    declare_job::<generate_key::GenerateKeyAndCsr>(catalog)?;
    declare_job::<install_certificate::InstallCertificate>(catalog)?;
    catalog.add_condition(key_online::NAME);
    catalog.add_thing(certificates::TYPE);
    Ok(())
}

/// Everything that workflows of this release may name.
pub fn register(rooms: &Rooms) -> Registry {
    let mut registry = Registry::default();
    registry.add_activity(find_person::FindPerson::new(rooms));
    registry.add_activity(find_certificate::FindCertificate);
    registry.add_activity(publish_certificates::PublishCertificates::new(rooms));
    registry.add_activity(prepare_certificate::PrepareCertificate::new(rooms));
    registry.add_activity(sign_certificate::SignCertificate::new(rooms));
    registry.add_activity(revoke_certificate::RevokeCertificate);
    registry.add_activity(certificate_status::CertificateStatus);
    registry.add_activity(certificates_of_person::CertificatesOfPerson);
    registry.add_activity(suspend_certificates::SuspendCertificates);
    registry.add_activity(reinstate_certificates::ReinstateCertificates);
    registry.add_activity(unpublish_certificates::UnpublishCertificates::new(rooms));
    registry.add_activity(compare_people::ComparePeople::new(rooms));
    registry.add_activity(recheck_departure::RecheckDeparture::new(rooms));
    registry.add_activity(issue_crl::IssueCrl::new(rooms));
    registry.add_job(identify_card::IdentifyCard::new(rooms));
    registry.add_job(replace_factory_secrets::ReplaceFactorySecrets::new(rooms));
    registry.add_job(generate_key::GenerateKeyAndCsr::new(rooms));
    registry.add_job(install_certificate::InstallCertificate::new(rooms));
    registry.add_condition(key_online::KeyOnline::new(rooms));
    registry.add_things(certificates::Certificates);
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

/// What makes one job's answers its own.
fn nonce() -> Result<Bytes, Failure> {
    let nonce = random::bytes::<32>().map_err(|_| Failure::Fail { class: "randomness" })?;
    Ok(Bytes(nonce.to_vec()))
}

/// A refusal of the agent, for the log.
fn log_refusal(job: &str, reason: Refusal) {
    tracing::info!(job, ?reason, "the agent refused");
}
