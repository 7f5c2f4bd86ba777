//! The card job `prove-key`: the key in the slot signs a text that only this job has, and the certificate verifies it; a key that is not to sign
//! finds a secret out instead.

use async_trait::async_trait;
use aws_lc_rs::{constant_time, digest};
use schemars::JsonSchema;
use sealwright_pki::key_proof;
use sealwright_protocol::{Bytes, Instruction, Report, key_test, secret_test};
use sealwright_workflow::catalog::CertificateEffect;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Rooms, id, log_refusal, nonce};
use crate::audit;
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, CardJob, Failure};
use crate::issuance::{Certificate, SlotName};
use crate::random;
use crate::store::certificates::CertificateRow;
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
    /// For a key that is not to sign.
    secret: Option<Secret>,
}

/// A challenge, and the digest that only who finds its secret out can say.
#[derive(Debug, Serialize, Deserialize)]
pub struct Secret {
    challenge: Bytes,
    digest: Bytes,
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

    async fn plan(&self, tx: &Tx, _: &Call, parameters: Parameters) -> Result<(Option<Uuid>, Plan), Failure> {
        let (card, certificate, nonce) = (id(&parameters.card.id)?, id(&parameters.certificate.id)?, nonce()?);
        let der = der(certificates::find(tx, certificate).await?)?;
        let (serial, slot) = (parameters.card.serial, parameters.slot);
        let secret = if key_proof::may_sign(&der) {
            None
        } else {
            let random = random::bytes::<32>().map_err(|_| Failure::Fail { class: "randomness" })?;
            let made = key_proof::challenge(&der, &random).ok_or(Failure::Fail { class: "certificate" })?;
            let mut digest = digest::Context::new(&digest::SHA256);
            digest.update(secret_test(&self.portal, &serial, slot.to_protocol(), &nonce).as_bytes());
            digest.update(&made.secret);
            Some(Secret { challenge: Bytes(made.sent), digest: Bytes(digest.finish().as_ref().to_vec()) })
        };
        Ok((Some(card), Plan { card, serial, slot, certificate, nonce, secret }))
    }

    async fn instruction(&self, plan: &Plan) -> Result<Instruction, Failure> {
        let certificate = Bytes(der(certificates::find(self.store.read(), plan.certificate).await?)?);
        let (slot, portal, nonce) = (plan.slot.to_protocol(), self.portal.clone(), plan.nonce.clone());
        Ok(match &plan.secret {
            None => Instruction::ProveKey { slot, certificate, portal, nonce },
            Some(secret) => {
                let challenge = secret.challenge.clone();
                Instruction::ProveKeyBySecret { slot, certificate, portal, nonce, challenge }
            }
        })
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, report: Report) -> Result<Option<Outcome>, Failure> {
        let row = certificates::find(tx, plan.certificate).await?.ok_or(Failure::Fail { class: "certificate" })?;
        let slot = plan.slot.to_protocol();
        let is_proved = match (report, &plan.secret) {
            (Report::Proved { signature }, None) => {
                let der = row.certificate.ok_or(Failure::Fail { class: "certificate" })?;
                let text = key_test(&self.portal, &plan.serial, slot, &plan.nonce);
                key_proof::verify(&der, text.as_bytes(), &signature.0)
            }
            (Report::ProvedBySecret { digest }, Some(secret)) => {
                constant_time::verify_slices_are_equal(&digest.0, &secret.digest.0).is_ok()
            }
            (Report::Refused { reason }, _) => {
                log_refusal(Self::NAME, reason);
                false
            }
            _ => return Ok(None),
        };
        if !is_proved {
            return Ok(Some(Outcome::NotProved));
        }
        let event =
            audit::Event::KeyProved { card: plan.card.to_string(), slot: slot.as_str().to_owned(), serial: row.serial };
        audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
        Ok(Some(Outcome::Proved))
    }
}

fn der(row: Option<CertificateRow>) -> Result<Vec<u8>, Failure> {
    row.and_then(|row| row.certificate).ok_or(Failure::Fail { class: "certificate" })
}
