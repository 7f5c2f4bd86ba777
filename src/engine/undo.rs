//! Plans and records that failed: what they had written is rolled back with the whole transaction, which is run again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealwright_workflow::instance::Event;
use uuid::Uuid;

use super::EngineError;
use super::contract::Failure;
use super::events::failed;
use crate::random;

/// A child among the instances: its parent, the parent's step and its index in that step.
type Place = (Uuid, u64, usize);

/// The failures that one transaction was rolled back for, by instance and step. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Failures {
    known: Arc<Mutex<BTreeMap<(Uuid, u64), Event>>>,
    children: Arc<Mutex<BTreeMap<Place, Uuid>>>,
}

impl Failures {
    /// The failure of this step in a run before, which is not made again.
    pub fn of(&self, instance: Uuid, step: u64) -> Option<Event> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&(instance, step)).cloned()
    }

    /// The id of a child that a step starts: the same in each run of the transaction, so that its failures are found again.
    pub fn child(&self, parent: Uuid, step: u64, index: usize) -> Uuid {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        *children.entry((parent, step, index)).or_insert_with(random::id)
    }

    /// Keeps the failure for the next run of the transaction; `false` for another error, or one that is known.
    pub fn keep(&self, error: &EngineError) -> bool {
        let EngineError::Undone { instance, event } = error else { return false };
        let Event::Failed { step, .. } = event.as_ref() else { return false };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((*instance, *step), event.as_ref().clone()).is_none()
    }
}

/// Ends the transaction of a plan or record that failed.
pub(super) fn undo(instance: Uuid, step: u64, failure: Failure) -> EngineError {
    match failed(step, failure) {
        Ok(event) => EngineError::Undone { instance, event: Box::new(event) },
        Err(error) => error,
    }
}
