//! `directory.compare-people`: everybody who has certificates in use, against the whole directory. A partial answer compares nothing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activities::Services;
use crate::audit;
use crate::clock::milliseconds;
use crate::directory::{Directory, DirectoryError, Present};
use crate::engine::contract::{Activity, Call, Failure, Planned};
use crate::fail_point;
use crate::issuance::{CertificateHolder, Departure, DepartureAction, DepartureKind, MOST_DEPARTURES};
use crate::store::certificates::{Held, Status};
use crate::store::{Store, StoreError, Tx, certificates, logins};

/// Certificates read at once.
const PAGE: u64 = 1_000;

pub struct ComparePeople {
    directory: Directory,
    store: Store,
}

impl From<&Services> for ComparePeople {
    fn from(services: &Services) -> Self {
        Self { directory: services.directory.clone(), store: services.store.clone() }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    gone: DepartureAction,
    disabled: DepartureAction,
    moved: DepartureAction,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Changed {
    departures: Vec<Departure>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Unchanged,
    Changed(Changed),
    /// The directory did not answer, or not with everybody: nothing is known of anybody.
    Unanswered,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Compared {
    departures: Vec<Departure>,
    /// Login and id of people who are called otherwise than before.
    renamed: Vec<(String, String)>,
}

#[async_trait]
impl Activity for ComparePeople {
    const NAME: &'static str = "directory.compare-people";

    type Parameters = Parameters;
    type Plan = Parameters;
    type Performed = Option<Compared>;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, parameters: Parameters) -> Result<Planned<Parameters, Outcome>, Failure> {
        Ok(Planned::Perform(parameters))
    }

    async fn perform(&self, call: &Call, plan: &Parameters) -> Result<Option<Compared>, Failure> {
        fail_point!(async "directory.compare-people");
        let held = self.held(milliseconds(call.now)).await?;
        if held.is_empty() {
            return Ok(Some(Compared::default()));
        }
        match self.directory.everybody(&|id| held.contains_key(id)).await {
            Ok(people) => Ok(Some(Self::compare(*plan, held, people))),
            Err(error @ (DirectoryError::Unavailable | DirectoryError::Timeout | DirectoryError::Partial)) => {
                tracing::warn!(%error, "people were not compared with the directory");
                Ok(None)
            }
        }
    }

    async fn record(
        &self,
        tx: &Tx,
        call: &Call,
        _: Parameters,
        performed: &Option<Compared>,
    ) -> Result<Outcome, Failure> {
        let Some(Compared { departures, renamed }) = performed else { return Ok(Outcome::Unanswered) };
        let at = milliseconds(call.now);
        for (login, person) in renamed {
            let followed = logins::follow(tx, login, person).await?;
            audit::record_followed(tx, &call.origin, Some(call.root), at, login, followed)?;
        }
        if departures.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let event = audit::Event::PeopleCompared { left: departures.len() };
        audit::record(tx, &call.origin, Some(call.root), at, &event)?;
        Ok(Outcome::Changed(Changed { departures: departures.clone() }))
    }
}

impl ComparePeople {
    /// What people have in use, by the id of the person.
    async fn held(&self, now: i64) -> Result<BTreeMap<String, Vec<Held>>, StoreError> {
        let mut people: BTreeMap<String, Vec<Held>> = BTreeMap::new();
        let mut skip = 0;
        loop {
            let page = certificates::held(self.store.read(), now, skip, PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            skip += PAGE;
            for held in page {
                people.entry(held.person.clone()).or_default().push(held);
            }
            if is_last {
                return Ok(people);
            }
        }
    }

    fn compare(plan: Parameters, held: BTreeMap<String, Vec<Held>>, people: Vec<Present>) -> Compared {
        let people: BTreeMap<String, Present> =
            people.into_iter().map(|present| (present.id.clone(), present)).collect();
        let mut compared = Compared::default();
        for (id, certificates) in held {
            let found = people.get(&id);
            let login = found.and_then(|present| present.logins.first());
            if let Some((login, present)) = login.zip(found)
                && certificates.iter().any(|of| !present.logins.contains(&of.owner_login))
            {
                compared.renamed.push((login.clone(), id.clone()));
            }
            let Some((kind, action)) = Self::settlement(plan, &certificates, found) else { continue };
            let is_valid = certificates.iter().any(|of| of.status == Status::Issued);
            // What is suspended already is not suspended again.
            let is_done = action == DepartureAction::Keep || (action == DepartureAction::Suspend && !is_valid);
            if !is_done && compared.departures.len() < MOST_DEPARTURES {
                let login = login.cloned().or_else(|| certificates.first().map(|of| of.owner_login.clone()));
                let (login, reason) = (login.unwrap_or_default(), kind.reason());
                compared.departures.push(Departure { person: id, login, kind, action, reason });
            }
        }
        compared
    }

    /// What has become of somebody, and what is to be done about it.
    fn settlement(
        plan: Parameters,
        certificates: &[Held],
        found: Option<&Present>,
    ) -> Option<(DepartureKind, DepartureAction)> {
        let Some(present) = found else { return Some((DepartureKind::Gone, plan.gone)) };
        if present.disabled {
            return Some((DepartureKind::Disabled, plan.disabled));
        }
        // An entry that cannot be read says nothing against its person.
        let person = present.person.as_ref()?;
        if plan.moved != DepartureAction::Keep {
            let holder = CertificateHolder::from(person);
            let named: Vec<_> = certificates.iter().map(|of| holder.is_named_otherwise(&of.names_digest)).collect();
            if named.contains(&Some(true)) {
                return Some((DepartureKind::Moved, plan.moved));
            }
            // Whoever was suspended for it may have moved still.
            if named.contains(&None) {
                return None;
            }
        }
        let is_suspended = certificates.iter().any(|of| of.status == Status::Suspended);
        is_suspended.then_some((DepartureKind::Back, DepartureAction::Reinstate))
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &[],
        state: &["do: directory.compare-people", "with: { gone: revoke, disabled: suspend, moved: keep }"],
        further_states: "",
        prepare: |world| {
            world.personalize();
            world.directory.remove("alice");
            json!({})
        },
        outcome: "changed",
        failure: Failure::Breakage {
            break_it: |world| world.directory.stop(),
            mend: |world| world.directory.go_on(),
            end: Failed::By("unanswered"),
        },
    } }
}
