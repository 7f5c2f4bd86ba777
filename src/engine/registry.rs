//! The activities, jobs and conditions of this release.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_workflow::types::Type;

use super::contract::{
    Activity, CardJob, Condition, ErasedActivity, ErasedCondition, ErasedJob, ErasedSubjectLookup, SubjectLookup, Typed,
};

/// What a node can run.
#[derive(Default)]
pub struct Registry {
    activities: BTreeMap<&'static str, Arc<dyn ErasedActivity>>,
    jobs: BTreeMap<&'static str, Arc<dyn ErasedJob>>,
    conditions: BTreeMap<&'static str, Arc<dyn ErasedCondition>>,
    subjects: BTreeMap<&'static str, Arc<dyn ErasedSubjectLookup>>,
}

impl Registry {
    pub fn add_activity<A: Activity>(&mut self, activity: A) {
        self.activities.insert(A::NAME, Arc::new(Typed::new(activity)));
    }

    pub fn add_job<J: CardJob>(&mut self, job: J) {
        self.jobs.insert(J::NAME, Arc::new(Typed::new(job)));
    }

    pub fn add_condition<C: Condition>(&mut self, condition: C) {
        self.conditions.insert(C::NAME, Arc::new(condition));
    }

    pub fn add_subject_lookup<L: SubjectLookup>(&mut self, lookup: L) {
        self.subjects.insert(L::TYPE, Arc::new(lookup));
    }

    pub(super) fn subject_lookup(&self, of: &Type) -> Option<&Arc<dyn ErasedSubjectLookup>> {
        match of {
            Type::Named(name) => self.subjects.get(name.as_str()),
            _ => None,
        }
    }

    pub(super) fn activity(&self, name: &str) -> Option<&Arc<dyn ErasedActivity>> {
        self.activities.get(name)
    }

    pub(super) fn job(&self, name: &str) -> Option<&Arc<dyn ErasedJob>> {
        self.jobs.get(name)
    }

    pub(super) fn condition(&self, name: &str) -> Option<&Arc<dyn ErasedCondition>> {
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
