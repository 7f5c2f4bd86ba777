//! `directory.recheck-departure`: whether somebody is still gone, disabled or back, asked by the id and just before anything is done about it.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DIRECTORY_FAILURES, Rooms};
use crate::directory::Directory;
use crate::engine::contract::{Activity, Call, Failure, Planned};
use crate::fail_point;
use crate::issuance::{Departure, DepartureKind};
use crate::store::Tx;

pub struct RecheckDeparture {
    directory: Directory,
}

impl RecheckDeparture {
    pub fn new(rooms: &Rooms) -> Self {
        Self { directory: rooms.directory.clone() }
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

    async fn perform(&self, _: &Call, plan: &Parameters) -> Result<Outcome, Failure> {
        fail_point!("directory.recheck-departure");
        let found = self.directory.find_by_id(&plan.departure.person).await?;
        let is_as_found = matches!(
            (plan.departure.kind, found.map(|present| present.disabled)),
            (DepartureKind::Gone, None)
                | (DepartureKind::Disabled, Some(true))
                | (DepartureKind::Moved | DepartureKind::Back, Some(false))
        );
        Ok(if is_as_found { Outcome::AsFound } else { Outcome::Otherwise })
    }

    async fn record(&self, _: &Tx, _: &Call, _: Parameters, outcome: &Outcome) -> Result<Outcome, Failure> {
        Ok(*outcome)
    }
}
