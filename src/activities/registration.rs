//! Registration of activities: one line declares the types and makes the value.
//!
//! Both come from the same list, so what is verified and what runs cannot differ.

use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::types::UnknownSchema;

use super::Services;
use crate::engine::Registry;
use crate::engine::contract::{Activity, CardJob, Condition, SubjectLookup, declare_activity, declare_job};

/// An activity, card job, condition or subject of workflows.
pub(super) struct Registration {
    /// Adds its name and types to the catalog, without an instance of it: nothing is connected.
    pub declare: fn(&mut Catalog) -> Result<(), UnknownSchema>,
    /// Makes it from the services and adds it to what the node can run.
    pub register: fn(&mut Registry, &Services),
}

impl Registration {
    pub(super) const fn activity<A: Activity + for<'a> From<&'a Services>>() -> Self {
        Self { declare: declare_activity::<A>, register: |registry, services| registry.add_activity(A::from(services)) }
    }

    pub(super) const fn job<J: CardJob + for<'a> From<&'a Services>>() -> Self {
        Self { declare: declare_job::<J>, register: |registry, services| registry.add_job(J::from(services)) }
    }

    pub(super) const fn condition<C: Condition + for<'a> From<&'a Services>>() -> Self {
        Self {
            declare: |catalog| {
                catalog.add_condition(C::NAME);
                Ok(())
            },
            register: |registry, services| registry.add_condition(C::from(services)),
        }
    }

    pub(super) const fn subject<L: SubjectLookup + for<'a> From<&'a Services>>() -> Self {
        Self {
            declare: |catalog| {
                catalog.add_subject(L::TYPE);
                Ok(())
            },
            register: |registry, services| registry.add_subject_lookup(L::from(services)),
        }
    }
}
