//! The card job `install-certificate`.

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_protocol::{Bytes, Instruction, Report};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Rooms, id, log_refusal, nonce};
use crate::audit;
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, CardJob, Failure};
use crate::issuance::{Certificate, SlotName};
use crate::store::cards::CardKeyRow;
use crate::store::{Access, Store, Tx, cards, certificates};

pub struct InstallCertificate {
    store: Store,
}

impl InstallCertificate {
    pub fn new(rooms: &Rooms) -> Self {
        Self { store: rooms.store.clone() }
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
    slot: SlotName,
    certificate: Uuid,
    nonce: Bytes,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Installed,
    Refused,
}

#[async_trait]
impl CardJob for InstallCertificate {
    const NAME: &'static str = "install-certificate";

    type Parameters = Parameters;
    type Plan = Plan;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, parameters: Parameters) -> Result<(Option<Uuid>, Plan), Failure> {
        let card = id(&parameters.card.id)?;
        let certificate = id(&parameters.certificate.id)?;
        Ok((Some(card), Plan { card, slot: parameters.slot, certificate, nonce: nonce()? }))
    }

    async fn instruction(&self, plan: &Plan) -> Result<Instruction, Failure> {
        let row = certificates::find(self.store.read(), plan.certificate).await?;
        let der = row.and_then(|row| row.certificate).ok_or(Failure::Fail { class: "certificate" })?;
        Ok(Instruction::InstallCertificate { slot: plan.slot.to_protocol(), certificate: Bytes(der) })
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, report: Report) -> Result<Option<Outcome>, Failure> {
        match report {
            Report::Installed => {
                let row =
                    certificates::find(tx, plan.certificate).await?.ok_or(Failure::Fail { class: "certificate" })?;
                let at = milliseconds(call.now);
                let slot = plan.slot.to_protocol().as_str().to_owned();
                let keys = cards::keys(tx, plan.card).await?;
                let algorithm = keys.into_iter().find(|key| key.slot == slot).map(|key| key.algorithm);
                let key = CardKeyRow {
                    tenant: tx.tenant().to_owned(),
                    card: plan.card,
                    slot: slot.clone(),
                    algorithm: algorithm.unwrap_or_default(),
                    certificate: Some(plan.certificate),
                    changed_at: at,
                };
                cards::put_key(tx, key).await?;
                let event =
                    audit::Event::CertificateInstalled { card: plan.card.to_string(), slot, serial: row.serial };
                audit::record(tx, &call.origin, Some(call.root), at, &event)?;
                Ok(Some(Outcome::Installed))
            }
            Report::Refused { reason } => {
                log_refusal(Self::NAME, reason);
                Ok(Some(Outcome::Refused))
            }
            _ => Ok(None),
        }
    }
}
