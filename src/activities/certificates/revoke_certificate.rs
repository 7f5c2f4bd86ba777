//! `pki.revoke`: records a revocation. The first date and reason stay.

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_workflow::catalog::CertificateEffect;
use serde::{Deserialize, Serialize};

use super::note;
use crate::activities::{Services, id};
use crate::audit::Event;
use crate::engine::contract::{Call, Failure, LocalActivity};
use crate::issuance::{Certificate, Reason, revocation};
use crate::store::Tx;

pub struct RevokeCertificate;

impl From<&Services> for RevokeCertificate {
    fn from(_: &Services) -> Self {
        Self
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    certificate: Certificate,
    reason: Reason,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Revoked,
    AlreadyRevoked,
}

#[async_trait]
impl LocalActivity for RevokeCertificate {
    const NAME: &'static str = "pki.revoke";
    const CERTIFICATE: CertificateEffect = CertificateEffect::Revokes;

    type Parameters = Parameters;
    type Outcome = Outcome;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Outcome, Failure> {
        let (id, reason) = (id(&parameters.certificate.id)?, parameters.reason);
        let Some(row) = revocation::revoke(tx, id, reason, call.now).await? else {
            return Ok(Outcome::AlreadyRevoked);
        };
        let reason = reason.as_str().to_owned();
        note(tx, call, Event::CertificateRevoked { authority: row.authority, serial: row.serial, reason })?;
        Ok(Outcome::Revoked)
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["certificate: certificate"],
        state: &["do: pki.revoke", "with: { certificate: certificate, reason: superseded }"],
        further_states: "",
        prepare: |world| json!({ "certificate": world.personalize()["certificates"][0] }),
        outcome: "revoked",
        failure: Failure::Arguments {
            change: |given| given["certificate"]["id"] = json!("no id"),
            end: Failed::Stuck,
        },
    } }
}
