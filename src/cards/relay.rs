//! Answers to a card's witness for an agent: the management key never leaves the portal.

use sealwright_protocol::{Bytes, ManagementKey, ManagementKeyAlgorithm, RelayAnswer, RelayRefusal};
use serde_json::Value;

use super::management_key;
use super::sealing::{Purpose, SealingKey};
use crate::store::jobs::{self, Holder, JobRecord};
use crate::store::{Store, StoreError, cards};

/// A witness of a card, and the key that it is to be answered with.
pub struct Challenge<'a> {
    /// The card's serial number, as the agent says it.
    pub serial: &'a str,
    pub key: ManagementKey,
    pub algorithm: ManagementKeyAlgorithm,
    pub witness: &'a [u8],
}

/// No answer at all, neither a block nor a refusal.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The job is of a kind that authenticates nobody.
    #[error("the plan of the job has no nonce")]
    Plan,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers a witness while the agent is to do the job, with a key that the person's card may have.
///
/// # Errors
/// [`RelayError`].
pub async fn answer(
    store: &Store,
    sealing: &SealingKey,
    agent: Holder,
    login: &str,
    job: &JobRecord,
    challenge: &Challenge<'_>,
) -> Result<Result<RelayAnswer, RelayRefusal>, RelayError> {
    let Challenge { serial, key, algorithm, witness } = *challenge;
    let reader = store.read();
    let nonce: Bytes =
        serde_json::from_value(job.plan.get("nonce").cloned().unwrap_or(Value::Null)).map_err(|_| RelayError::Plan)?;
    let answered =
        |key: &[u8]| management_key::answer(algorithm, key, witness, &nonce.0).map_err(|_| RelayRefusal::NotExpected);

    if key == ManagementKey::Factory {
        if !jobs::is_queued(reader, job.id, agent).await? {
            return Ok(Err(RelayRefusal::NotExpected));
        }
        return Ok(management_key::factory(algorithm).ok_or(RelayRefusal::NoKey).and_then(answered));
    }

    // A key that is not confirmed yet may be the one on the card: the newest is tried.
    let purpose = Purpose::ManagementKey;
    let Some((card, secret)) = cards::for_job(reader, job.id, agent, serial, purpose).await? else {
        let is_queued = jobs::is_queued(reader, job.id, agent).await?;
        return Ok(Err(if is_queued { RelayRefusal::NoKey } else { RelayRefusal::NotExpected }));
    };
    // Nobody's yet, or theirs; one whose owner has no login now is somebody else's.
    let theirs = card.owner.is_none() || card.owner_login.as_deref() == Some(login);
    if !theirs || job.card.is_some_and(|expected| expected != card.id) {
        return Ok(Err(RelayRefusal::NotExpected));
    }
    let Some(secret) = secret else { return Ok(Err(RelayRefusal::NoKey)) };

    match sealing.open(card.id, Purpose::ManagementKey, &secret.into()) {
        Ok(key) => Ok(answered(&key)),
        Err(error) => {
            tracing::error!(card = %card.id, %error, "a management key cannot be opened");
            Ok(Err(RelayRefusal::NoKey))
        }
    }
}
