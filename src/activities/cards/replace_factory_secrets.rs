//! The card job `replace-factory-secrets`: the person chooses the PIN; PUK and management key, or a token's PIN of the security officer, are
//! random, sealed and committed before they are sent. Old and new are kept until the card confirms.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_protocol::{Bytes, FactorySecrets, Instruction, PinPolicy, Report, Secret};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{log_refusal, nonce};
use crate::activities::{Services, id};
use crate::audit;
use crate::cards::sealing::{Purpose, SealingKey};
use crate::cards::{Card, ManagementKind, management_key, objects};
use crate::clock::milliseconds;
use crate::engine::contract::{Call, CardJob, Failure, FailureClass};
use crate::random;
use crate::store::cards::{SealedSecretRecord, SecretState};
use crate::store::{Store, Tx, cards};

/// The secrets that PIV cards leave the factory with.
const FACTORY_PIN: &[u8] = b"123456";
const FACTORY_PUK: &[u8] = b"12345678";

/// What programs show of a token.
const LABEL: &str = "Sealwright";
/// Decimal digits of a security officer's PIN: some tokens want 16 hexadecimal ones, and no fewer.
const SO_PIN_LENGTH: usize = 16;

pub struct ReplaceFactorySecrets {
    factory_so_pin: Option<Secret>,
    pin_policy: PinPolicy,
    sealing: Arc<SealingKey>,
    store: Store,
}

impl From<&Services> for ReplaceFactorySecrets {
    fn from(services: &Services) -> Self {
        let factory_so_pin = services.stock.factory_so_pin.clone();
        let (sealing, store) = (services.sealing.clone(), services.store.clone());
        Self { factory_so_pin, pin_policy: services.pin_policy, sealing, store }
    }
}

impl ReplaceFactorySecrets {
    /// Opens what is to be set.
    fn open(&self, secrets: &[SealedSecretRecord], purpose: Purpose) -> Result<Secret, Failure> {
        let failed = || Failure::Fail(FailureClass::Secret);
        let row = secrets.iter().find(|row| row.purpose == purpose && row.state == SecretState::Pending);
        let row = row.ok_or_else(failed)?;
        let opened = self.sealing.open(row.card, purpose, &row.clone().into()).map_err(|_| failed())?;
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
    management: ManagementKind,
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
        let row = cards::find(tx, card).await?.ok_or(Failure::Fail(FailureClass::Card))?;
        let management = row.management;
        let at = milliseconds(call.now);
        // An earlier attempt may have reached the card: its secrets stay, and are the ones that are tried again.
        let purpose = management.purpose();
        let secrets = cards::secrets(tx, card).await?;
        if !secrets.iter().any(|secret| secret.purpose == purpose && secret.state == SecretState::Pending) {
            let mut rows = Vec::new();
            for (purpose, secret) in new_secrets(management).map_err(|_| Failure::Fail(FailureClass::Randomness))? {
                let sealed =
                    self.sealing.seal(card, purpose, &secret).map_err(|_| Failure::Fail(FailureClass::Secret))?;
                rows.push(SealedSecretRecord {
                    id: random::id(),
                    card,
                    purpose,
                    state: SecretState::Pending,
                    key_id: sealed.key_id,
                    nonce: sealed.nonce,
                    ciphertext: sealed.ciphertext,
                    created_at: at,
                    // A secret passes the host when it is set.
                    seen_by_host_at: Some(at),
                });
            }
            cards::insert_secrets(tx, rows).await?;
            let event = audit::Event::FactorySecretsSealed { card: card.to_string() };
            audit::record(tx, &call.origin, Some(call.root), at, &event)?;
        }
        let plan = Plan { card, management, guid: random::id(), nonce: nonce()? };
        Ok((Some(card), plan))
    }

    async fn instruction(&self, plan: &Plan) -> Result<Instruction, Failure> {
        let guid = plan.guid.into_bytes();
        let own = cards::secrets(self.store.read(), plan.card).await?;
        let secrets = match plan.management {
            ManagementKind::ManagementKey(algorithm) => FactorySecrets::Piv {
                factory_pin: Secret::new(FACTORY_PIN.to_vec()),
                factory_puk: Secret::new(FACTORY_PUK.to_vec()),
                puk: self.open(&own, Purpose::Puk)?,
                management_key: self.open(&own, Purpose::ManagementKey)?,
                algorithm,
                chuid: Bytes(objects::chuid(guid)),
                ccc: Bytes(objects::ccc(guid)),
            },
            ManagementKind::SoPin => FactorySecrets::Token {
                factory_so_pin: self.factory_so_pin.clone().ok_or(Failure::Fail(FailureClass::Secret))?,
                so_pin: self.open(&own, Purpose::SoPin)?,
                label: LABEL.to_owned(),
            },
        };
        Ok(Instruction::ReplaceFactorySecrets { secrets, pin_policy: Some(self.pin_policy) })
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, report: Report) -> Result<Option<Outcome>, Failure> {
        match report {
            Report::Replaced => {
                cards::confirm_secrets(tx, plan.card).await?;
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

type NewSecret = (Purpose, Zeroizing<Vec<u8>>);

/// A card's own secrets, random.
fn new_secrets(management: ManagementKind) -> Result<Vec<NewSecret>, random::NoRandomness> {
    Ok(match management {
        ManagementKind::ManagementKey(algorithm) => {
            vec![(Purpose::Puk, digits(8)?), (Purpose::ManagementKey, management_key::generate(algorithm)?)]
        }
        ManagementKind::SoPin => vec![(Purpose::SoPin, digits(SO_PIN_LENGTH)?)],
    })
}

/// Random decimal digits; those of a byte from 250 on would be more frequent than others, and are left out.
fn digits(count: usize) -> Result<Zeroizing<Vec<u8>>, random::NoRandomness> {
    let mut digits = Zeroizing::new(Vec::with_capacity(count));
    while digits.len() < count {
        let bytes = Zeroizing::new(random::bytes::<32>()?);
        let missing = count - digits.len();
        digits.extend(bytes.iter().filter(|byte| **byte < 250).map(|byte| b'0' + byte % 10).take(missing));
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["card: card"],
        state: &["card: replace-factory-secrets", "with: { card: card }"],
        further_states: "",
        prepare: |world| json!({ "card": world.personalize()["card"] }),
        outcome: "replaced",
        failure: Failure::Breakage {
            break_it: |world| world.card.refuse(Some(sealwright_protocol::Refusal::Card)),
            mend: |world| world.card.refuse(None),
            end: Failed::By("refused"),
        },
    } }
}
