//! Cards: jobs for the agent, and what the portal knows of a card's slots.

mod find_certificate;
mod generate_key;
mod identify_card;
mod install_certificate;
mod replace_factory_secrets;

use sealwright_protocol::{Bytes, Refusal};

use super::registration::Registration;
use crate::engine::contract::{Failure, FailureClass};
use crate::random;

/// Everything of this subject that workflows may name.
pub(super) const ALL: &[Registration] = &[
    Registration::activity::<find_certificate::FindCertificate>(),
    Registration::job::<generate_key::GenerateKeyAndCsr>(),
    Registration::job::<identify_card::IdentifyCard>(),
    Registration::job::<install_certificate::InstallCertificate>(),
    Registration::job::<replace_factory_secrets::ReplaceFactorySecrets>(),
];

/// A random nonce that binds the answers of a job to it.
fn nonce() -> Result<Bytes, Failure> {
    let nonce = random::bytes::<32>().map_err(|_| Failure::Fail(FailureClass::Randomness))?;
    Ok(Bytes(nonce.to_vec()))
}

/// A refusal of the agent, for the log.
fn log_refusal(job: &str, reason: Refusal) {
    tracing::info!(job, ?reason, "the agent refused");
}
