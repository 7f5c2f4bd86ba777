//! `pki.plan-certificates`: plans the certificates of a card before it is touched, for one approval of all of them.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::activities::Services;
use crate::directory::Person;
use crate::engine::contract::{Call, Failure, LocalActivity};
use crate::issuance::plan::{self, Plan, PlannedCertificate};
use crate::issuance::{CertificateHolder, Issuance, Slot};
use crate::store::Tx;

pub struct PlanCertificates {
    issuance: Issuance,
}

impl From<&Services> for PlanCertificates {
    fn from(services: &Services) -> Self {
        Self { issuance: services.issuance.clone() }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    person: Person,
    slots: Vec<Slot>,
    /// Whether they are approved together; else each is approved by itself, when its key is made.
    together: bool,
    /// The plan that was approved.
    approved: Option<Vec<PlannedCertificate>>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Planned {
    certificates: Vec<PlannedCertificate>,
    /// How many RA operators must approve.
    approvals: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Planned(Planned),
    /// The approval covers what is planned now.
    AsApproved(Planned),
    Refused(Refused),
}

#[async_trait]
impl LocalActivity for PlanCertificates {
    const NAME: &'static str = "pki.plan-certificates";

    type Parameters = Parameters;
    type Outcome = Outcome;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Outcome, Failure> {
        let holder = CertificateHolder::from(&parameters.person);
        let owner = &call.instance.owner.login;
        let planned = plan::plan(&self.issuance, tx, &holder, owner, &parameters.slots, call.now).await?;
        let (certificates, approvals) = match planned {
            Plan::Planned { certificates, approvals } => (certificates, approvals),
            Plan::Refused(findings) => {
                let refusal = super::refuse(tx, call, findings)?;
                return Ok(Outcome::Refused(refusal));
            }
        };

        let approvals = if parameters.together { i64::from(approvals) } else { 0 };
        let covers = |certificate: &PlannedCertificate, approved: &[PlannedCertificate]| {
            approved.iter().any(|approved| approved.covers(&certificate.terms, &certificate.findings))
        };
        let is_approved = parameters
            .approved
            .is_some_and(|approved| certificates.iter().all(|certificate| covers(certificate, &approved)));
        let planned = Planned { certificates, approvals };
        Ok(if is_approved { Outcome::AsApproved(planned) } else { Outcome::Planned(planned) })
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["person: person", "slots: list of slot", "together: bool"],
        state: &[
            "do: pki.plan-certificates",
            "with: { person: person, slots: slots, together: together }",
        ],
        further_states: "",
        prepare: |world| {
            let data = world.personalize();
            json!({ "person": data["person"], "slots": data["slots"], "together": true })
        },
        outcome: "planned",
        failure: Failure::Arguments {
            change: |given| given["slots"][0]["profile"] = json!("none"),
            end: Failed::By("refused"),
        },
    } }
}
