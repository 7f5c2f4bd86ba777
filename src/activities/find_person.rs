//! `directory.find-person`: who signs in, with the attributes that the workflow needs.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rooms;
use crate::directory::{Attribute, Directory, Lookup, Person};
use crate::engine::contract::{Activity, Call, Failure, Planned};
use crate::fail_point;
use crate::store::Tx;

pub struct FindPerson {
    directory: Directory,
}

impl FindPerson {
    pub fn new(rooms: &Rooms) -> Self {
        Self { directory: rooms.directory.clone() }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    login: String,
    require: Vec<Attribute>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Found(Person),
    NotFound,
    Ambiguous,
    Incomplete,
}

#[async_trait]
impl Activity for FindPerson {
    const NAME: &'static str = "directory.find-person";
    const FAILURES: &'static [&'static str] = &["unavailable", "timeout"];

    type Parameters = Parameters;
    type Plan = Parameters;
    type Performed = Lookup;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, parameters: Parameters) -> Result<Planned<Parameters, Outcome>, Failure> {
        Ok(Planned::Perform(parameters))
    }

    async fn perform(&self, _: &Call, plan: &Parameters) -> Result<Lookup, Failure> {
        fail_point!("directory.find-person");
        let found = self.directory.find(&plan.login, &plan.require).await;
        found.map_err(|error| Failure::Retry { class: error.class() })
    }

    async fn record(&self, _: &Tx, _: &Call, _: Parameters, found: &Lookup) -> Result<Outcome, Failure> {
        Ok(match found {
            Lookup::Found(person) => Outcome::Found(person.clone()),
            Lookup::NotFound => Outcome::NotFound,
            Lookup::Ambiguous => Outcome::Ambiguous,
            Lookup::Incomplete { missing } => {
                tracing::info!(?missing, "a directory entry is incomplete");
                Outcome::Incomplete
            }
        })
    }
}
