//! `pki.certificate-status`: whether there is still something to revoke.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activities::{Services, id};
use crate::clock::milliseconds;
use crate::engine::contract::{Call, Failure, FailureClass, LocalActivity};
use crate::issuance::Certificate;
use crate::store::certificates::Status;
use crate::store::{Tx, certificates};

pub struct CertificateStatus;

impl From<&Services> for CertificateStatus {
    fn from(_: &Services) -> Self {
        Self
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    certificate: Certificate,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Valid, or suspended.
    InUse,
    Revoked,
    Expired,
}

#[async_trait]
impl LocalActivity for CertificateStatus {
    const NAME: &'static str = "pki.certificate-status";

    type Parameters = Parameters;
    type Outcome = Outcome;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Outcome, Failure> {
        let row = certificates::find(tx, id(&parameters.certificate.id)?).await?;
        let row = row.ok_or(Failure::Fail(FailureClass::Certificate))?;
        Ok(match () {
            () if row.is(Status::Revoked) => Outcome::Revoked,
            // What was never signed is nobody's: it is revoked like any other.
            () if row.not_after <= milliseconds(call.now) => Outcome::Expired,
            () => Outcome::InUse,
        })
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["certificate: certificate"],
        state: &["do: pki.certificate-status", "with: { certificate: certificate }"],
        further_states: "",
        prepare: |world| json!({ "certificate": world.personalize()["certificates"][0] }),
        outcome: "in-use",
        failure: Failure::Arguments {
            change: |given| given["certificate"]["id"] = json!("5a1f0c9e-0000-4000-8000-000000000000"),
            end: Failed::Stuck,
        },
    } }
}
