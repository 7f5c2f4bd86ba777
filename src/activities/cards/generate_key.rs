//! The card job `generate-key-and-csr`: a key is made on the card and signs its own request; where the card attests its keys, it says so.

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_protocol::{Bytes, Instruction, Refusal, Report};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{log_refusal, nonce};
use crate::activities::{Services, id};
use crate::audit;
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, CardJob, Failure, FailureClass};
use crate::issuance::keys::{Attestations, NewKey};
use crate::issuance::{Csr, KeyAlgorithmName, SlotName};
use crate::store::cards::CardKeyRecord;
use crate::store::{Tx, cards, certificates};

pub struct GenerateKeyAndCsr {
    attestations: Attestations,
}

impl From<&Services> for GenerateKeyAndCsr {
    fn from(services: &Services) -> Self {
        Self { attestations: services.attestations.clone() }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    card: Card,
    slot: SlotName,
    algorithm: KeyAlgorithmName,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    card: Uuid,
    serial: String,
    slot: SlotName,
    algorithm: KeyAlgorithmName,
    nonce: Bytes,
    /// The slot holds a certificate that is still valid: it is not overwritten.
    occupied: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Made(Csr),
    /// The PIN is blocked, or only its last try is left.
    PinBlocked,
    /// None was given, or a wrong one.
    NoPin,
    Refused,
}

#[async_trait]
impl CardJob for GenerateKeyAndCsr {
    const NAME: &'static str = "generate-key-and-csr";

    type Parameters = Parameters;
    type Plan = Plan;
    type Outcome = Outcome;

    async fn plan(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<(Option<Uuid>, Plan), Failure> {
        let card = id(&parameters.card.id)?;
        let slot = parameters.slot.to_protocol().as_str();
        let now = milliseconds(call.now);
        let occupied = certificates::of_card(tx, card)
            .await?
            .iter()
            .any(|row| row.slot.as_deref() == Some(slot) && row.is_in_use(now));
        let nonce = nonce()?;
        let Parameters { card: Card { serial, .. }, slot, algorithm } = parameters;
        let plan = Plan { card, serial, slot, algorithm, nonce, occupied };
        Ok((Some(card), plan))
    }

    async fn instruction(&self, plan: &Plan) -> Result<Instruction, Failure> {
        if plan.occupied {
            return Err(Failure::Fail(FailureClass::Occupied));
        }
        Ok(Instruction::GenerateKeyAndCsr { slot: plan.slot.to_protocol(), algorithm: plan.algorithm.to_protocol() })
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, report: Report) -> Result<Option<Outcome>, Failure> {
        let (request, attestation) = match report {
            Report::Made { request, attestation } => (request, attestation),
            Report::Refused { reason } => {
                log_refusal(Self::NAME, reason);
                return Ok(Some(match reason {
                    Refusal::PinBlocked => Outcome::PinBlocked,
                    Refusal::NoPin => Outcome::NoPin,
                    _ => Outcome::Refused,
                }));
            }
            _ => return Ok(None),
        };
        let at = milliseconds(call.now);
        let slot = plan.slot.to_protocol().as_str().to_owned();
        let key = NewKey { card: &plan.serial, slot: plan.slot, algorithm: plan.algorithm };
        let checked = match self.attestations.check(&key, &request, attestation.as_ref()) {
            Ok(checked) => checked,
            Err(error) => {
                let event = audit::Event::RequestRefused { why: error.to_string() };
                audit::record(tx, &call.origin, Some(call.root), at, &event)?;
                return Ok(Some(Outcome::Refused));
            }
        };
        let algorithm = plan.algorithm.as_str().to_owned();
        let row = CardKeyRecord {
            card: plan.card,
            slot: slot.clone(),
            algorithm: algorithm.clone(),
            certificate: None,
            changed_at: at,
        };
        cards::defer_key(tx, row);
        let event =
            audit::Event::KeyMade { card: plan.card.to_string(), slot, algorithm, attested: checked.is_attested };
        audit::record(tx, &call.origin, Some(call.root), at, &event)?;
        Ok(Some(Outcome::Made(checked.csr)))
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["card: card"],
        state: &["card: generate-key-and-csr", "with: { card: card, slot: 9d, algorithm: p-256 }"],
        further_states: "",
        prepare: |world| json!({ "card": world.personalize()["card"] }),
        outcome: "made",
        failure: Failure::Breakage {
            break_it: |world| world.card.refuse(Some(sealwright_protocol::Refusal::Card)),
            mend: |world| world.card.refuse(None),
            end: Failed::By("refused"),
        },
    } }
}
