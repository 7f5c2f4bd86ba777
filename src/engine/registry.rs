//! The activities, jobs and conditions of this release.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_workflow::types::Type;

use super::contract::{Activity, CardJob, Condition, ErasedActivity, ErasedJob, Things, Typed};

/// What a node can run.
#[derive(Default)]
pub struct Registry {
    activities: BTreeMap<&'static str, Arc<dyn ErasedActivity>>,
    jobs: BTreeMap<&'static str, Arc<dyn ErasedJob>>,
    conditions: BTreeMap<&'static str, Arc<dyn Condition>>,
    things: BTreeMap<&'static str, Arc<dyn Things>>,
}

impl Registry {
    pub fn add_activity<A: Activity>(&mut self, activity: A) {
        self.activities.insert(A::NAME, Arc::new(Typed::new(activity)));
    }

    pub fn add_job<J: CardJob>(&mut self, job: J) {
        self.jobs.insert(J::NAME, Arc::new(Typed::new(job)));
    }

    pub fn add_condition(&mut self, condition: impl Condition + 'static) {
        self.conditions.insert(condition.name(), Arc::new(condition));
    }

    pub fn add_things(&mut self, things: impl Things + 'static) {
        self.things.insert(things.type_name(), Arc::new(things));
    }

    pub(super) fn things(&self, of: &Type) -> Option<&Arc<dyn Things>> {
        match of {
            Type::Named(name) => self.things.get(name.as_str()),
            _ => None,
        }
    }

    pub(super) fn activity(&self, name: &str) -> Option<&Arc<dyn ErasedActivity>> {
        self.activities.get(name)
    }

    pub(super) fn job(&self, name: &str) -> Option<&Arc<dyn ErasedJob>> {
        self.jobs.get(name)
    }

    pub(super) fn condition(&self, name: &str) -> Option<&Arc<dyn Condition>> {
        self.conditions.get(name)
    }

    pub(super) fn activity_names(&self) -> Vec<String> {
        self.activities.keys().map(|&name| name.to_owned()).collect()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Registry")
            .field("activities", &self.activities.keys())
            .field("jobs", &self.jobs.keys())
            .finish()
    }
}
