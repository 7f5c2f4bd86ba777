//! The card job `replace-factory-secrets`: the person chooses the PIN; PUK and management key are random, sealed and committed before they
//! are sent. Old and new are kept until the card confirms.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_protocol::{Bytes, Instruction, ManagementKeyAlgorithm, Report, Secret};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Rooms, id, log_refusal, nonce};
use crate::audit;
use crate::cards::sealing::{Purpose, SealingKey};
use crate::cards::{Card, management_key, objects};
use crate::clock::milliseconds;
use crate::engine::contract::{Call, CardJob, Failure};
use crate::random;
use crate::store::cards::SealedSecretRow;
use crate::store::{Access, Store, Tx, cards};

/// The secrets that PIV cards leave the factory with.
const FACTORY_PIN: &[u8] = b"123456";
const FACTORY_PUK: &[u8] = b"12345678";

pub struct ReplaceFactorySecrets {
    sealing: Arc<SealingKey>,
    store: Store,
}

impl ReplaceFactorySecrets {
    pub fn new(rooms: &Rooms) -> Self {
        Self { sealing: rooms.sealing.clone(), store: rooms.store.clone() }
    }

    async fn open(&self, card: Uuid, purpose: Purpose) -> Result<Secret, Failure> {
        let rows = cards::secrets(self.store.read(), card, purpose.as_str()).await?;
        let row = rows.into_iter().find(|row| row.state == "pending").ok_or(Failure::Fail { class: "secret" })?;
        let opened = self.sealing.open(card, purpose, &row.into()).map_err(|_| Failure::Fail { class: "secret" })?;
        Ok(Secret::new(opened.to_vec()))
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    card: Card,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    card: Uuid,
    algorithm: ManagementKeyAlgorithm,
    guid: Uuid,
    nonce: Bytes,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Replaced,
    Refused,
}

#[async_trait]
impl CardJob for ReplaceFactorySecrets {
    const NAME: &'static str = "replace-factory-secrets";

    type Parameters = Parameters;
    type Plan = Plan;
    type Outcome = Outcome;

    async fn plan(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<(Option<Uuid>, Plan), Failure> {
        let card = id(&parameters.card.id)?;
        let row = cards::find(tx, card).await?.ok_or(Failure::Fail { class: "card" })?;
        let algorithm = algorithm(&row.management_key_algorithm);
        let at = milliseconds(call.now);
        // An earlier attempt may have reached the card: its secrets stay, and are the ones that are tried again.
        let pending = cards::secrets(tx, card, Purpose::ManagementKey.as_str()).await?;
        if !pending.iter().any(|secret| secret.state == "pending") {
            let randomness = |_| Failure::Fail { class: "randomness" };
            let puk: Vec<u8> = random::bytes::<8>().map_err(randomness)?.iter().map(|byte| b'0' + byte % 10).collect();
            let key = management_key::generate(algorithm).map_err(randomness)?;
            for (purpose, secret) in [(Purpose::Puk, puk.as_slice()), (Purpose::ManagementKey, key.as_slice())] {
                let sealed = self.sealing.seal(card, purpose, secret).map_err(|_| Failure::Fail { class: "secret" })?;
                let row = SealedSecretRow {
                    tenant: tx.tenant().to_owned(),
                    id: random::id(),
                    card,
                    purpose: purpose.as_str().to_owned(),
                    state: "pending".to_owned(),
                    key_id: sealed.key_id,
                    nonce: sealed.nonce,
                    ciphertext: sealed.ciphertext,
                    created_at: at,
                    // A secret passes the host when it is set.
                    seen_by_host_at: Some(at),
                };
                cards::insert_secret(tx, row).await?;
            }
            let event = audit::Event::FactorySecretsSealed { card: card.to_string() };
            audit::record(tx, &call.origin, Some(call.root), at, &event)?;
        }
        let plan = Plan { card, algorithm, guid: random::id(), nonce: nonce()? };
        Ok((Some(card), plan))
    }

    async fn instruction(&self, plan: &Plan) -> Result<Instruction, Failure> {
        let guid = plan.guid.into_bytes();
        Ok(Instruction::ReplaceFactorySecrets {
            factory_pin: Secret::new(FACTORY_PIN.to_vec()),
            factory_puk: Secret::new(FACTORY_PUK.to_vec()),
            puk: self.open(plan.card, Purpose::Puk).await?,
            management_key: self.open(plan.card, Purpose::ManagementKey).await?,
            algorithm: plan.algorithm,
            chuid: Bytes(objects::chuid(guid)),
            ccc: Bytes(objects::ccc(guid)),
        })
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, report: Report) -> Result<Option<Outcome>, Failure> {
        match report {
            Report::Replaced => {
                cards::move_secrets(tx, plan.card, "confirmed", "superseded").await?;
                cards::move_secrets(tx, plan.card, "pending", "confirmed").await?;
                let event = audit::Event::FactorySecretsReplaced { card: plan.card.to_string(), seen_by_host: true };
                audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
                Ok(Some(Outcome::Replaced))
            }
            Report::Refused { reason } => {
                log_refusal(Self::NAME, reason);
                Ok(Some(Outcome::Refused))
            }
            _ => Ok(None),
        }
    }
}

fn algorithm(word: &str) -> ManagementKeyAlgorithm {
    [ManagementKeyAlgorithm::Aes128, ManagementKeyAlgorithm::Aes192, ManagementKeyAlgorithm::Aes256]
        .into_iter()
        .find(|algorithm| crate::cards::algorithm_word(*algorithm) == word)
        .unwrap_or(ManagementKeyAlgorithm::TripleDes)
}
