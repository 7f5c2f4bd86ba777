//! `pki.prepare`: prepares a certificate, for the approvers and before the key is used.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::activities::Services;
use crate::directory::Person;
use crate::engine::contract::{Call, Failure, LocalActivity};
use crate::issuance::plan::{self, PlannedCertificate};
use crate::issuance::preparation::{self, CertificateRequest, Preparation};
use crate::issuance::{CertificateHolder, Csr, DraftCertificate, Finding, Issuance, SlotName};
use crate::store::Tx;

pub struct PrepareCertificate {
    issuance: Issuance,
}

impl From<&Services> for PrepareCertificate {
    fn from(services: &Services) -> Self {
        Self { issuance: services.issuance.clone() }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    person: Person,
    csr: Csr,
    profile: String,
    slot: Option<SlotName>,
    /// Certificates of this personalization that were approved before there was a key.
    approved: Option<Vec<PlannedCertificate>>,
}

/// A request that the rules allow.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Admissible {
    draft: DraftCertificate,
    /// Shown to the approvers; forbids nothing.
    findings: Vec<Finding>,
    /// How many RA operators must say yes to this one.
    approvals: i64,
    /// They have said yes to it before it had a key.
    covered: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Prepared(Admissible),
    Refused(Refused),
}

#[async_trait]
impl LocalActivity for PrepareCertificate {
    const NAME: &'static str = "pki.prepare";

    type Parameters = Parameters;
    type Outcome = Outcome;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Outcome, Failure> {
        let holder = CertificateHolder::from(&parameters.person);
        let Parameters { csr, profile, .. } = &parameters;
        let asked = CertificateRequest { holder: &holder, csr, profile, instance: call.instance.id };

        match preparation::prepare(&self.issuance, tx, &asked, call.now).await? {
            Preparation::Prepared(prepared) => {
                let owner = &call.instance.owner.login;
                let findings = match prepared.approvals {
                    0 => Vec::new(),
                    _ => preparation::duplicates(tx, owner, profile, call.now).await?,
                };
                let covered = self.is_covered(&parameters, &holder, &findings)?;
                let approvals = if covered { 0 } else { i64::from(prepared.approvals) };
                Ok(Outcome::Prepared(Admissible { draft: prepared.draft, findings, approvals, covered }))
            }
            Preparation::Refused(findings) => {
                let refusal = super::refuse(tx, call, findings)?;
                Ok(Outcome::Refused(refusal))
            }
        }
    }
}

impl PrepareCertificate {
    /// Whether an approval of before covers the certificate: it says the same, and nothing was found since that somebody has to decide on.
    fn is_covered(
        &self,
        parameters: &Parameters,
        holder: &CertificateHolder,
        findings: &[Finding],
    ) -> Result<bool, Failure> {
        let Parameters { csr, profile, slot: Some(slot), approved: Some(approved), .. } = parameters else {
            return Ok(false);
        };
        let terms = plan::terms(&self.issuance, holder, *slot, profile, &csr.algorithm)?;
        Ok(terms.is_ok_and(|terms| approved.iter().any(|planned| planned.covers(&terms, findings))))
    }
}

#[cfg(test)]
mod trials {
    crate::testing::trial::trials! { Trial {
        data: &["person: person", "csr: csr", "profile: text"],
        state: &["do: pki.prepare", "with: { person: person, csr: csr, profile: profile }"],
        further_states: "",
        prepare: |world| {
            let person = world.personalize()["person"].clone();
            json!({ "person": person, "csr": world.request("9d"), "profile": "signature" })
        },
        outcome: "prepared",
        failure: Failure::Arguments {
            change: |given| given["csr"]["der"] = json!("AAAA"),
            end: Failed::By("refused"),
        },
    } }
}
