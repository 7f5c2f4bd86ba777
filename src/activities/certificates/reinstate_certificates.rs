//! `pki.reinstate`: suspended certificates come off the list (RFC 5280 section 5.3.1, `removeFromCRL` is for delta lists alone).

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

pub struct ReinstateCertificates;

impl From<&Services> for ReinstateCertificates {
    fn from(_: &Services) -> Self {
        Self
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Reinstated,
}

#[async_trait]
impl LocalActivity for ReinstateCertificates {
    const NAME: &'static str = "pki.reinstate";

    type Parameters = Parameters;
    type Outcome = Outcome;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Outcome, Failure> {
        for certificate in &parameters.certificates {
            if let Some(row) = revocation::reinstate(tx, id(&certificate.id)?).await? {
                note(tx, call, Event::CertificateReinstated { authority: row.authority, serial: row.serial })?;
            }
        }
        Ok(Outcome::Reinstated)
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["certificates: list of certificate"],
        state: &["do: pki.suspend", "with: { certificates: certificates }", "next: { suspended: reinstate }"],
        further_states: "  reinstate: { do: pki.reinstate, label: Back, with: { certificates: certificates }, \
                         next: { reinstated: ended } }\n",
        prepare: |world| json!({ "certificates": world.personalize()["certificates"] }),
        outcome: "reinstated",
        failure: Failure::Arguments {
            change: |given| given["certificates"][1]["id"] = json!("no id"),
            end: Failed::Stuck,
        },
    } }
}
