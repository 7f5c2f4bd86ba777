//! `directory.publish-certificates`: adds certificates to `userCertificate;binary`. A repeat finds them there.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activities::{DIRECTORY_FAILURES, Services, id};
use crate::audit;
use crate::clock::milliseconds;
use crate::directory::{Directory, Person, Published};
use crate::engine::contract::{Activity, Call, Failure, FailureClass, Planned};
use crate::fail_point;
use crate::issuance::Certificate;
use crate::store::certificates::Status;
use crate::store::{Store, Tx, certificates};

pub struct PublishCertificates {
    directory: Directory,
    store: Store,
}

impl From<&Services> for PublishCertificates {
    fn from(services: &Services) -> Self {
        Self { directory: services.directory.clone(), store: services.store.clone() }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    person: Person,
    certificates: Vec<Certificate>,
}

#[derive(Debug)]
pub struct Performed {
    published: Published,
    /// How many certificates were good still.
    count: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Published,
    AlreadyThere,
    /// The directory does not allow it, or does not have the person any more.
    Refused,
}

#[async_trait]
impl Activity for PublishCertificates {
    const NAME: &'static str = "directory.publish-certificates";
    const FAILURES: &'static [FailureClass] = DIRECTORY_FAILURES;

    type Parameters = Parameters;
    type Plan = Parameters;
    type Performed = Performed;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, parameters: Parameters) -> Result<Planned<Parameters, Outcome>, Failure> {
        Ok(Planned::Perform(parameters))
    }

    async fn perform(&self, _: &Call, plan: &Parameters) -> Result<Performed, Failure> {
        fail_point!(async "directory.publish-certificates");
        let ids =
            plan.certificates.iter().map(|certificate| id(&certificate.id)).collect::<Result<BTreeSet<_>, _>>()?;
        let wanted = ids.len();
        let rows = certificates::find_all(self.store.read(), ids).await?;
        if rows.len() != wanted {
            return Err(Failure::Fail(FailureClass::Certificate));
        }
        // Hours may have passed: what was revoked or suspended since was taken out of the directory before it came in.
        // And a login that was looked up may be somebody else's.
        let good = rows.into_iter().filter(|row| row.is(Status::Issued) && row.person == plan.person.id);
        let ders: Vec<_> = good.filter_map(|row| row.certificate).collect();
        if ders.is_empty() {
            return Ok(Performed { published: Published::AsBefore, count: 0 });
        }
        // By the id: days may have passed, and what the entry was called is perhaps somebody else's by now.
        let present = self.directory.find_by_id(&plan.person.id).await?;
        let Some(person) = present.and_then(|present| present.person) else {
            return Ok(Performed { published: Published::Refused, count: 0 });
        };
        let published = self.directory.publish(&person, &ders).await?;
        Ok(Performed { published, count: ders.len() })
    }

    async fn record(&self, tx: &Tx, call: &Call, _: Parameters, performed: &Performed) -> Result<Outcome, Failure> {
        match performed.published {
            Published::Changed => {
                let event = audit::Event::CertificatesPublished { count: performed.count };
                audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
                Ok(Outcome::Published)
            }
            Published::AsBefore => Ok(Outcome::AlreadyThere),
            Published::Refused => Ok(Outcome::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["person: person", "certificates: list of certificate"],
        state: &["do: directory.publish-certificates", "with: { person: person, certificates: certificates }"],
        further_states: "",
        prepare: |world| {
            let data = world.personalize();
            world.directory.unpublish("alice");
            json!({ "person": data["person"], "certificates": data["certificates"] })
        },
        outcome: "published",
        failure: Failure::Breakage {
            break_it: |world| world.directory.stop(),
            mend: |world| world.directory.go_on(),
            end: Failed::Stuck,
        },
    } }
}
