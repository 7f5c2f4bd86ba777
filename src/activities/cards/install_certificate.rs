//! The card job `install-certificate`: the certificate is written, and its key signs a text that only this job has, which the certificate verifies; a
//! key that is not to sign finds a secret out instead.

use async_trait::async_trait;
use aws_lc_rs::{constant_time, digest};
use schemars::JsonSchema;
use sealwright_pki::key_proof;
use sealwright_protocol::{Bytes, Instruction, KeyProof, KeyTest, Report, decipher_test, key_test};
use sealwright_workflow::catalog::CertificateEffect;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{log_refusal, nonce};
use crate::activities::{Services, id};
use crate::audit::{self, Event};
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, CardJob, Failure, FailureClass};
use crate::issuance::{Certificate, SlotName};
use crate::random;
use crate::store::certificates::Status;
use crate::store::{Tx, cards, certificates};

pub struct InstallCertificate {
    portal: String,
}

impl From<&Services> for InstallCertificate {
    fn from(services: &Services) -> Self {
        Self { portal: services.portal.clone() }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    card: Card,
    slot: SlotName,
    certificate: Certificate,
}

/// Everything that is told and compared: what was issued never changes.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    card: Uuid,
    /// Of the card.
    serial: String,
    slot: SlotName,
    certificate: Uuid,
    /// Of the certificate.
    certificate_serial: String,
    der: Bytes,
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
    /// It is on the card, and its key has proved itself.
    Installed,
    /// It is on the card; its key has not proved itself.
    NotProved,
    /// It could not be written.
    Refused,
    /// It is on the card, and was revoked in the meantime. One that was only suspended comes back with its person.
    Revoked,
}

#[async_trait]
impl CardJob for InstallCertificate {
    const NAME: &'static str = "install-certificate";
    const CERTIFICATE: CertificateEffect = CertificateEffect::Proves("installed");

    type Parameters = Parameters;
    type Plan = Plan;
    type Outcome = Outcome;

    async fn plan(&self, tx: &Tx, _: &Call, parameters: Parameters) -> Result<(Option<Uuid>, Plan), Failure> {
        let (card, certificate, nonce) = (id(&parameters.card.id)?, id(&parameters.certificate.id)?, nonce()?);
        let missing = || Failure::Fail(FailureClass::Certificate);
        let row = certificates::find(tx, certificate).await?.ok_or_else(missing)?;
        let der = row.certificate.ok_or_else(missing)?;
        let (serial, slot) = (parameters.card.serial, parameters.slot);
        let secret = if key_proof::may_sign(&der) {
            None
        } else {
            let random = random::bytes::<32>().map_err(|_| Failure::Fail(FailureClass::Randomness))?;
            let made = key_proof::challenge(&der, &random).ok_or_else(missing)?;
            let mut digest = digest::Context::new(&digest::SHA256);
            digest.update(decipher_test(&self.portal, &serial, slot.to_protocol(), &nonce).as_bytes());
            digest.update(&made.secret);
            Some(Secret { challenge: Bytes(made.sent), digest: Bytes(digest.finish().as_ref().to_vec()) })
        };
        let plan =
            Plan { card, serial, slot, certificate, certificate_serial: row.serial, der: Bytes(der), nonce, secret };
        Ok((Some(card), plan))
    }

    async fn instruction(&self, plan: &Plan) -> Result<Instruction, Failure> {
        let challenge = plan.secret.as_ref().map(|secret| secret.challenge.clone());
        let test = KeyTest { portal: self.portal.clone(), nonce: plan.nonce.clone(), challenge };
        Ok(Instruction::InstallCertificate { slot: plan.slot.to_protocol(), certificate: plan.der.clone(), test })
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, report: Report) -> Result<Option<Outcome>, Failure> {
        let proof = match report {
            Report::Installed { proof } => proof,
            Report::Refused { reason } => {
                log_refusal(Self::NAME, reason);
                return Ok(Some(Outcome::Refused));
            }
            _ => return Ok(None),
        };
        let at = milliseconds(call.now);
        let (card, slot) = (plan.card.to_string(), plan.slot.to_protocol());
        cards::put_certificate(tx, plan.card, slot.as_str(), plan.certificate, at).await?;
        let serial = plan.certificate_serial;
        let event =
            Event::CertificateInstalled { card: card.clone(), slot: slot.as_str().to_owned(), serial: serial.clone() };
        audit::record(tx, &call.origin, Some(call.root), at, &event)?;
        let is_proved = match (proof, &plan.secret) {
            (Ok(KeyProof::Signature { signature }), None) => {
                let text = key_test(&self.portal, &plan.serial, slot, &plan.nonce);
                key_proof::verify(&plan.der.0, text.as_bytes(), &signature.0)
            }
            (Ok(KeyProof::Secret { digest }), Some(secret)) => {
                constant_time::verify_slices_are_equal(&digest.0, &secret.digest.0).is_ok()
            }
            (Err(reason), _) => {
                log_refusal(Self::NAME, reason);
                false
            }
            _ => return Ok(None),
        };
        if !is_proved {
            return Ok(Some(Outcome::NotProved));
        }
        let row = certificates::find(tx, plan.certificate).await?;
        if row.is_none_or(|row| row.is(Status::Revoked)) {
            return Ok(Some(Outcome::Revoked));
        }
        let event = Event::KeyProved { card, slot: slot.as_str().to_owned(), serial };
        audit::record(tx, &call.origin, Some(call.root), at, &event)?;
        Ok(Some(Outcome::Installed))
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["card: card", "certificate: certificate"],
        state: &["card: install-certificate", "with: { card: card, slot: 9c, certificate: certificate }"],
        further_states: "",
        prepare: |world| {
            let data = world.personalize();
            json!({ "card": data["card"], "certificate": data["certificates"][1] })
        },
        outcome: "installed",
        failure: Failure::Breakage {
            break_it: |world| world.card.refuse(Some(sealwright_protocol::Refusal::Card)),
            mend: |world| world.card.refuse(None),
            end: Failed::By("refused"),
        },
    } }
}
