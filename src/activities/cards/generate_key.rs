//! The card job `generate-key-and-csr`: a key is made on the card and signs its own request; where the card attests its keys, it says so.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use sealwright_pki::attestation::Attestation;
use sealwright_protocol::{Bytes, Instruction, KeyRequest, Refusal, Report, Slot};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{log_refusal, nonce};
use crate::activities::{Services, id};
use crate::audit;
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, CardJob, Failure, FailureClass};
use crate::issuance::{Csr, KeyAlgorithmName, SlotName};
use crate::store::cards::CardKeyRow;
use crate::store::{Access, Tx, cards, certificates};

pub struct GenerateKeyAndCsr {
    attestations: Attestations,
}

impl From<&Services> for GenerateKeyAndCsr {
    fn from(services: &Services) -> Self {
        Self { attestations: services.attestations.clone() }
    }
}

/// Which authorities are believed when a card attests a key, and whether one must.
#[derive(Clone, Debug, Default)]
pub struct Attestations {
    /// DER; none: attestations are not looked at.
    pub authorities: Arc<[Vec<u8>]>,
    pub are_required: bool,
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
        let (csr, is_attested) = match self.check(&plan, &request, attestation.as_ref()) {
            Ok(checked) => checked,
            Err(why) => {
                let event = audit::Event::RequestRefused { why };
                audit::record(tx, &call.origin, Some(call.root), at, &event)?;
                return Ok(Some(Outcome::Refused));
            }
        };
        let algorithm = plan.algorithm.as_str().to_owned();
        let row = CardKeyRow {
            tenant: tx.tenant().to_owned(),
            card: plan.card,
            slot: slot.clone(),
            algorithm: algorithm.clone(),
            certificate: None,
            changed_at: at,
        };
        cards::put_key(tx, row);
        let event = audit::Event::KeyMade { card: plan.card.to_string(), slot, algorithm, attested: is_attested };
        audit::record(tx, &call.origin, Some(call.root), at, &event)?;
        Ok(Some(Outcome::Made(csr)))
    }
}

impl GenerateKeyAndCsr {
    /// The request, and whether the card has attested its key; or why it is refused.
    fn check(
        &self,
        plan: &Plan,
        request: &KeyRequest,
        attestation: Option<&sealwright_protocol::Attestation>,
    ) -> Result<(Csr, bool), String> {
        let algorithm = plan.algorithm.as_str().to_owned();
        let (der, signed) = match request {
            KeyRequest::Signature { csr } => (&csr.0, true),
            KeyRequest::Attestation { public_key } => (&public_key.0, false),
        };
        let csr = Csr { der: STANDARD.encode(der), algorithm, signed };
        let said = csr.request().map_err(|error| error.to_string())?;
        if said.algorithm().as_str() != csr.algorithm {
            return Err("another kind of key than asked for".to_owned());
        }
        let attestation = attestation.filter(|_| !self.attestations.authorities.is_empty());
        let Some(attestation) = attestation else {
            // Nothing says that somebody has the key, or that it is on the card.
            return match signed && !self.attestations.are_required {
                true => Ok((csr, false)),
                false => Err("the card does not attest its key".to_owned()),
            };
        };
        let (certificate, issuer) = (&attestation.certificate.0, &attestation.issuer.0);
        let slot = plan.slot.to_protocol().as_str();
        let attested = Attestation::read(certificate, issuer, &self.attestations.authorities, slot)
            .and_then(|attested| attested.check(&plan.serial, said.subject_public_key_info()).map(|()| attested))
            .map_err(|error| error.to_string())?;
        // The key of card authentication (9E) is used without a PIN; every other one asks.
        if !attested.asks_for_pin && plan.slot.to_protocol() != Slot::CARD_AUTHENTICATION {
            return Err("the key can be used without the PIN".to_owned());
        }
        Ok((csr, true))
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
