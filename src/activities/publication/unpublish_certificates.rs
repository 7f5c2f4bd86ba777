//! `directory.unpublish-certificates`: takes certificates from their owners' `userCertificate;binary`. A repeat finds them gone.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activities::{DIRECTORY_FAILURES, Services, id};
use crate::audit;
use crate::clock::milliseconds;
use crate::directory::{Directory, Published};
use crate::engine::contract::{Activity, Call, Failure, FailureClass, Planned};
use crate::fail_point;
use crate::issuance::Certificate;
use crate::store::certificates::Status;
use crate::store::{Store, Tx, certificates};

pub struct UnpublishCertificates {
    directory: Directory,
    store: Store,
}

impl From<&Services> for UnpublishCertificates {
    fn from(services: &Services) -> Self {
        Self { directory: services.directory.clone(), store: services.store.clone() }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    certificates: Vec<Certificate>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Unpublished,
    /// They were not there, or nobody is.
    NotThere,
    Refused,
}

#[async_trait]
impl Activity for UnpublishCertificates {
    const NAME: &'static str = "directory.unpublish-certificates";
    const FAILURES: &'static [FailureClass] = DIRECTORY_FAILURES;

    type Parameters = Parameters;
    type Plan = Parameters;
    type Performed = Published;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, parameters: Parameters) -> Result<Planned<Parameters, Outcome>, Failure> {
        Ok(Planned::Perform(parameters))
    }

    async fn perform(&self, _: &Call, plan: &Parameters) -> Result<Published, Failure> {
        fail_point!(async "directory.unpublish-certificates");
        let mut all = Published::AsBefore;
        for certificate in &plan.certificates {
            let row = certificates::find(self.store.read(), id(&certificate.id)?).await?;
            let row = row.ok_or(Failure::Fail(FailureClass::Certificate))?;
            // Hours may have passed: what was reinstated since belongs into the directory.
            if row.is(Status::Issued) {
                continue;
            }
            let Some(der) = row.certificate else { continue };
            // By the id: whoever has the login now need not be who had the certificate.
            let present = self.directory.find_by_id(&row.person).await?;
            let Some(person) = present.and_then(|present| present.person) else { continue };
            match self.directory.unpublish(&person, &[der]).await? {
                Published::AsBefore => {}
                Published::Changed => all = Published::Changed,
                Published::Refused => return Ok(Published::Refused),
            }
        }
        Ok(all)
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Parameters, published: &Published) -> Result<Outcome, Failure> {
        match published {
            Published::Changed => {
                let event = audit::Event::CertificatesUnpublished { count: plan.certificates.len() };
                audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
                Ok(Outcome::Unpublished)
            }
            Published::AsBefore => Ok(Outcome::NotThere),
            Published::Refused => Ok(Outcome::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["certificates: list of certificate"],
        state: &["do: directory.unpublish-certificates", "with: { certificates: certificates }"],
        further_states: "",
        prepare: |world| {
            let certificates = world.personalize()["certificates"].clone();
            world.suspend(&certificates);
            json!({ "certificates": certificates })
        },
        outcome: "unpublished",
        failure: Failure::Breakage {
            break_it: |world| world.directory.stop(),
            mend: |world| world.directory.go_on(),
            end: Failed::Stuck,
        },
    } }
}
