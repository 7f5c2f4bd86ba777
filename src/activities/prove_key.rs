//! The card job `prove-key`: the key in the slot signs a text that only this job has, and the certificate verifies it.

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_pki::key_proof;
use sealwright_protocol::{Bytes, Instruction, Report, key_test};
use sealwright_workflow::catalog::CertificateEffect;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Rooms, id, log_refusal, nonce};
use crate::audit;
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, CardJob, Failure};
use crate::issuance::{Certificate, SlotName};
use crate::store::{Store, Tx, certificates};

pub struct ProveKey {
    store: Store,
    portal: String,
}

impl ProveKey {
    pub fn new(rooms: &Rooms) -> Self {
        Self { store: rooms.store.clone(), portal: rooms.portal.clone() }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    card: Card,
    slot: SlotName,
    certificate: Certificate,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    card: Uuid,
    serial: String,
    slot: SlotName,
    certificate: Uuid,
    nonce: Bytes,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Proved,
    NotProved,
}

#[async_trait]
impl CardJob for ProveKey {
    const NAME: &'static str = "prove-key";
    const CERTIFICATE: CertificateEffect = CertificateEffect::Proves("proved");

    type Parameters = Parameters;
    type Plan = Plan;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, parameters: Parameters) -> Result<(Option<Uuid>, Plan), Failure> {
        let card = id(&parameters.card.id)?;
        let plan = Plan {
            card,
            serial: parameters.card.serial,
            slot: parameters.slot,
            certificate: id(&parameters.certificate.id)?,
            nonce: nonce()?,
        };
        Ok((Some(card), plan))
    }

    async fn instruction(&self, plan: &Plan) -> Result<Instruction, Failure> {
        let row = certificates::find(self.store.read(), plan.certificate).await?;
        let der = row.and_then(|row| row.certificate).ok_or(Failure::Fail { class: "certificate" })?;
        Ok(Instruction::ProveKey {
            slot: plan.slot.to_protocol(),
            certificate: Bytes(der),
            portal: self.portal.clone(),
            nonce: plan.nonce.clone(),
        })
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, report: Report) -> Result<Option<Outcome>, Failure> {
        let signature = match report {
            Report::Proved { signature } => signature,
            Report::Refused { reason } => {
                log_refusal(Self::NAME, reason);
                return Ok(Some(Outcome::NotProved));
            }
            _ => return Ok(None),
        };
        let row = certificates::find(tx, plan.certificate).await?.ok_or(Failure::Fail { class: "certificate" })?;
        let der = row.certificate.ok_or(Failure::Fail { class: "certificate" })?;
        let slot = plan.slot.to_protocol();
        let text = key_test(&self.portal, &plan.serial, slot, &plan.nonce);
        if !key_proof::verify(&der, text.as_bytes(), &signature.0) {
            return Ok(Some(Outcome::NotProved));
        }
        let event =
            audit::Event::KeyProved { card: plan.card.to_string(), slot: slot.as_str().to_owned(), serial: row.serial };
        audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
        Ok(Some(Outcome::Proved))
    }
}
