//! `directory.find-person`: who signs in, with the attributes that the workflow needs.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activities::{DIRECTORY_FAILURES, Services};
use crate::audit;
use crate::clock::milliseconds;
use crate::directory::{Attribute, Directory, Lookup, Person};
use crate::engine::contract::{Activity, Call, Failure, FailureClass, Planned};
use crate::fail_point;
use crate::store::{Tx, logins};

pub struct FindPerson {
    directory: Directory,
}

impl From<&Services> for FindPerson {
    fn from(services: &Services) -> Self {
        Self { directory: services.directory.clone() }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    login: String,
    require: Vec<Attribute>,
}

/// What is looked up, and who had the login when that was decided.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    asked: Parameters,
    person: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Found(Box<Person>),
    /// The account is disabled.
    Disabled,
    NotFound,
    Ambiguous,
    Incomplete,
}

#[async_trait]
impl Activity for FindPerson {
    const NAME: &'static str = "directory.find-person";
    const FAILURES: &'static [FailureClass] = DIRECTORY_FAILURES;

    type Parameters = Parameters;
    type Plan = Plan;
    type Performed = Lookup;
    type Outcome = Outcome;

    async fn plan(&self, tx: &Tx, _: &Call, asked: Parameters) -> Result<Planned<Plan, Outcome>, Failure> {
        let person = logins::person_of(tx, &asked.login).await?;
        Ok(Planned::Perform(Plan { asked, person }))
    }

    async fn perform(&self, _: &Call, plan: &Plan) -> Result<Lookup, Failure> {
        fail_point!(async "directory.find-person");
        Ok(self.directory.find(&plan.asked.login, &plan.asked.require).await?)
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, found: &Lookup) -> Result<Outcome, Failure> {
        Ok(match found {
            Lookup::Found(person) => {
                settle_login(tx, call, person).await?;
                // The login has become somebody else's in between: this is about whoever had it.
                if plan.person.is_some_and(|planned| planned != person.id) {
                    return Ok(Outcome::NotFound);
                }
                Outcome::Found(Box::new(person.clone()))
            }
            Lookup::Disabled => Outcome::Disabled,
            Lookup::NotFound => Outcome::NotFound,
            Lookup::Ambiguous => Outcome::Ambiguous,
            Lookup::Incomplete { missing, .. } => {
                tracing::info!(?missing, "a directory entry is incomplete");
                Outcome::Incomplete
            }
        })
    }
}

/// Whoever is called so now has what is theirs, and nothing of whoever was called so before.
async fn settle_login(tx: &Tx, call: &Call, person: &Person) -> Result<(), Failure> {
    let followed = logins::settle(tx, &person.login, &person.id).await?;
    audit::record_followed(tx, &call.origin, Some(call.root), milliseconds(call.now), &person.login, followed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &[],
        state: &["do: directory.find-person", "with: { login: owner.login, require: [mail] }"],
        further_states: "",
        prepare: |_| json!({}),
        outcome: "found",
        failure: Failure::Breakage {
            break_it: |world| world.directory.stop(),
            mend: |world| world.directory.go_on(),
            end: Failed::Stuck,
        },
    } }
}
