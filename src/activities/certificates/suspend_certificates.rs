//! `pki.suspend`: certificates go on the list for now (`certificateHold`, RFC 5280 section 5.3.1).

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::note;
use crate::activities::{Services, id};
use crate::audit::Event;
use crate::engine::contract::{Call, Failure, LocalActivity};
use crate::issuance::{Certificate, revocation};
use crate::store::Tx;

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    certificates: Vec<Certificate>,
}

pub struct SuspendCertificates;

impl From<&Services> for SuspendCertificates {
    fn from(_: &Services) -> Self {
        Self
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Suspended,
}

#[async_trait]
impl LocalActivity for SuspendCertificates {
    const NAME: &'static str = "pki.suspend";

    type Parameters = Parameters;
    type Outcome = Outcome;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Outcome, Failure> {
        for certificate in &parameters.certificates {
            if let Some(row) = revocation::suspend(tx, id(&certificate.id)?, call.now).await? {
                note(tx, call, Event::CertificateSuspended { authority: row.authority, serial: row.serial })?;
            }
        }
        Ok(Outcome::Suspended)
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["certificates: list of certificate"],
        state: &["do: pki.suspend", "with: { certificates: certificates }"],
        further_states: "",
        prepare: |world| json!({ "certificates": world.personalize()["certificates"] }),
        outcome: "suspended",
        failure: Failure::Arguments {
            change: |given| given["certificates"][1]["id"] = json!("no id"),
            end: Failed::Stuck,
        },
    } }
}
