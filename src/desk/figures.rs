//! Figures of the whole portal, for the machine that watches. They name nobody.

use sealwright_workflow::instance::Status;

use crate::store::{Store, StoreError, audits, instances, work};

/// Counts of open instances, by status.
///
/// # Errors
/// [`StoreError`].
pub async fn open_instances(store: &Store) -> Result<Vec<(Status, i64)>, StoreError> {
    instances::count_open(store.read()).await
}

/// The count of activities that are planned and not done.
///
/// # Errors
/// [`StoreError`].
pub async fn planned_activities(store: &Store) -> Result<i64, StoreError> {
    work::count(store.read()).await
}

/// The count of audit events that no seal covers yet.
///
/// # Errors
/// [`StoreError`].
pub async fn unsealed_events(store: &Store) -> Result<i64, StoreError> {
    audits::count_unsealed(store.read()).await
}
