//! `directory.recheck-departure`: whether somebody is still gone, disabled or back, asked by the id and just before anything is done about it.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activities::{DIRECTORY_FAILURES, Services};
use crate::clock::milliseconds;
use crate::directory::{Directory, Present};
use crate::engine::contract::{Activity, Call, Failure, FailureClass, Planned};
use crate::fail_point;
use crate::issuance::{CertificateHolder, Departure, DepartureAction, DepartureKind};
use crate::store::{Store, StoreError, Tx, certificates};

pub struct RecheckDeparture {
    directory: Directory,
    store: Store,
}

impl From<&Services> for RecheckDeparture {
    fn from(services: &Services) -> Self {
        Self { directory: services.directory.clone(), store: services.store.clone() }
    }
}

impl RecheckDeparture {
    /// Whether one answer of the directory says of somebody what the comparison said.
    async fn is_as_found(&self, departure: &Departure, found: Option<&Present>, now: i64) -> Result<bool, StoreError> {
        Ok(match (departure.kind, found) {
            (DepartureKind::Gone, found) => found.is_none(),
            (_, None) => false,
            (DepartureKind::Disabled, Some(present)) => present.disabled,
            // Of an entry that cannot be read nobody knows.
            (DepartureKind::Back, Some(present)) => !present.disabled && present.person.is_some(),
            (DepartureKind::Moved, Some(present)) => {
                !present.disabled && self.has_moved(&departure.person, present, now).await?
            }
        })
    }

    /// Whether a certificate in use still names somebody otherwise; of an entry that cannot be read nobody knows.
    async fn has_moved(&self, id: &str, present: &Present, now: i64) -> Result<bool, StoreError> {
        let Some(person) = &present.person else { return Ok(false) };
        let rows = certificates::of_person(self.store.read(), id, now).await?;
        let holder = CertificateHolder::from(person);
        Ok(rows.iter().any(|row| holder.is_named_otherwise(&row.names_digest) == Some(true)))
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    departure: Departure,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    AsFound,
    /// The directory says otherwise now: the next comparison finds what is true then.
    Otherwise,
}

#[async_trait]
impl Activity for RecheckDeparture {
    const NAME: &'static str = "directory.recheck-departure";
    const FAILURES: &'static [FailureClass] = DIRECTORY_FAILURES;

    type Parameters = Parameters;
    type Plan = Parameters;
    type Performed = Outcome;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, parameters: Parameters) -> Result<Planned<Parameters, Outcome>, Failure> {
        Ok(Planned::Perform(parameters))
    }

    async fn perform(&self, call: &Call, plan: &Parameters) -> Result<Outcome, Failure> {
        fail_point!(async "directory.recheck-departure");
        let departure = &plan.departure;
        // What cannot be taken back is not done on the word of one server, which may have lost the person, or know only what was.
        let found = match (departure.kind, departure.action) {
            (DepartureKind::Gone, _) | (_, DepartureAction::Revoke) => {
                self.directory.find_by_id_everywhere(&departure.person).await?
            }
            _ => vec![self.directory.find_by_id(&departure.person).await?],
        };
        for found in &found {
            if !self.is_as_found(departure, found.as_ref(), milliseconds(call.now)).await? {
                return Ok(Outcome::Otherwise);
            }
        }
        Ok(Outcome::AsFound)
    }

    async fn record(&self, _: &Tx, _: &Call, _: Parameters, outcome: &Outcome) -> Result<Outcome, Failure> {
        Ok(*outcome)
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["departure: departure"],
        state: &["do: directory.recheck-departure", "with: { departure: departure }"],
        further_states: "",
        prepare: |world| {
            let person = world.personalize()["person"]["id"].clone();
            world.directory.remove("alice");
            json!({ "departure": {
                "person": person, "login": "alice", "kind": "gone", "action": "revoke", "reason": "cessation-of-operation",
            } })
        },
        outcome: "as-found",
        failure: Failure::Breakage {
            break_it: |world| world.directory.stop(),
            mend: |world| world.directory.go_on(),
            end: Failed::Stuck,
        },
    } }
}
