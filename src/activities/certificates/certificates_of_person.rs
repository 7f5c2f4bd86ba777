//! `pki.certificates-of-person`: what somebody has in use, for the departure that is to be settled.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activities::Services;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, Failure, LocalActivity};
use crate::issuance::{Certificate, Departure};
use crate::store::{Tx, certificates};

pub struct CertificatesOfPerson;

impl From<&Services> for CertificatesOfPerson {
    fn from(_: &Services) -> Self {
        Self
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    departure: Departure,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    certificates: Vec<Certificate>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Found(Found),
    None,
}

#[async_trait]
impl LocalActivity for CertificatesOfPerson {
    const NAME: &'static str = "pki.certificates-of-person";

    type Parameters = Parameters;
    type Outcome = Outcome;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Outcome, Failure> {
        let rows = certificates::of_person(tx, &parameters.departure.person, milliseconds(call.now)).await?;
        let certificates: Vec<Certificate> = rows.iter().map(Certificate::from_row).collect();
        Ok(if certificates.is_empty() { Outcome::None } else { Outcome::Found(Found { certificates }) })
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["departure: departure"],
        state: &["do: pki.certificates-of-person", "with: { departure: departure }"],
        further_states: "",
        prepare: |world| json!({ "departure": {
            "person": world.personalize()["person"]["id"], "login": "alice", "kind": "gone", "action": "revoke",
            "reason": "cessation-of-operation",
        } }),
        outcome: "found",
        failure: Failure::Arguments {
            change: |given| given["departure"]["person"] = json!("nobody"),
            end: Failed::By("none"),
        },
    } }
}
