//! `directory.recheck-departure`: whether somebody is still gone, disabled or back, asked by the id and just before anything is done about it.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prepare_certificate::names_otherwise;
use super::{DIRECTORY_FAILURES, Rooms};
use crate::clock::milliseconds;
use crate::directory::{Directory, Present};
use crate::engine::contract::{Activity, Call, Failure, Planned};
use crate::fail_point;
use crate::issuance::{Departure, DepartureKind};
use crate::store::{Store, StoreError, Tx, certificates};

pub struct RecheckDeparture {
    directory: Directory,
    store: Store,
}

impl RecheckDeparture {
    pub fn new(rooms: &Rooms) -> Self {
        Self { directory: rooms.directory.clone(), store: rooms.store.clone() }
    }

    /// Whether a certificate in use still names somebody otherwise; of an entry that cannot be read nobody knows.
    async fn has_moved(&self, id: &str, present: &Present, now: i64) -> Result<bool, StoreError> {
        let Some(person) = &present.person else { return Ok(false) };
        let rows = certificates::of_person(self.store.read(), id, now).await?;
        Ok(rows.iter().any(|row| names_otherwise(&row.names_digest, person) == Some(true)))
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
    const FAILURES: &'static [&'static str] = DIRECTORY_FAILURES;

    type Parameters = Parameters;
    type Plan = Parameters;
    type Performed = Outcome;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, parameters: Parameters) -> Result<Planned<Parameters, Outcome>, Failure> {
        Ok(Planned::Perform(parameters))
    }

    async fn perform(&self, call: &Call, plan: &Parameters) -> Result<Outcome, Failure> {
        fail_point!("directory.recheck-departure");
        let id = &plan.departure.person;
        let found = match plan.departure.kind {
            // What that does cannot be taken back: one server that has lost the person is not enough.
            DepartureKind::Gone => self.directory.find_by_id_everywhere(id).await?,
            _ => self.directory.find_by_id(id).await?,
        };
        let is_as_found = match (plan.departure.kind, &found) {
            (DepartureKind::Gone, found) => found.is_none(),
            (_, None) => false,
            (DepartureKind::Disabled, Some(present)) => present.disabled,
            // Of an entry that cannot be read nobody knows.
            (DepartureKind::Back, Some(present)) => !present.disabled && present.person.is_some(),
            (DepartureKind::Moved, Some(present)) => {
                !present.disabled && self.has_moved(id, present, milliseconds(call.now)).await?
            }
        };
        Ok(if is_as_found { Outcome::AsFound } else { Outcome::Otherwise })
    }

    async fn record(&self, _: &Tx, _: &Call, _: Parameters, outcome: &Outcome) -> Result<Outcome, Failure> {
        Ok(*outcome)
    }
}
