//! Cards: jobs for the agent, and what the portal knows of a card's slots.

pub(super) mod find_certificate;
pub(super) mod generate_key;
pub(super) mod identify_card;
pub(super) mod install_certificate;
pub(super) mod replace_factory_secrets;

use sealwright_protocol::{Bytes, Refusal};

use crate::engine::contract::Failure;
use crate::random;

/// What makes one job's answers its own.
fn nonce() -> Result<Bytes, Failure> {
    let nonce = random::bytes::<32>().map_err(|_| Failure::Fail { class: "randomness" })?;
    Ok(Bytes(nonce.to_vec()))
}

/// A refusal of the agent, for the log.
fn log_refusal(job: &str, reason: Refusal) {
    tracing::info!(job, ?reason, "the agent refused");
}
