//! The instances of one transaction: each is read once and written once, whatever number of steps it takes in it.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::store::instances::Stored;
use crate::store::{StoreError, Tx, instances};

#[derive(Debug, Default)]
pub(super) struct Loaded {
    entries: BTreeMap<Uuid, Entry>,
}

#[derive(Debug)]
struct Entry {
    stored: Stored,
    /// The revision that the database has; none for what begins in this transaction.
    written: Option<i64>,
}

impl Loaded {
    /// Reads and locks an instance.
    pub async fn lock(&mut self, tx: &Tx, id: Uuid) -> Result<Option<Stored>, StoreError> {
        match self.entries.get(&id) {
            Some(entry) => Ok(Some(entry.stored.clone())),
            None => Ok(self.take(instances::lock(tx, id).await?)),
        }
    }

    /// The same, unless another transaction has locked it.
    pub async fn lock_if_free(&mut self, tx: &Tx, id: Uuid) -> Result<Option<Stored>, StoreError> {
        match self.entries.get(&id) {
            Some(entry) => Ok(Some(entry.stored.clone())),
            None => Ok(self.take(instances::lock_if_free(tx, id).await?)),
        }
    }

    /// An instance that was read and locked.
    pub fn take(&mut self, stored: Option<Stored>) -> Option<Stored> {
        let stored = stored?;
        let entry = Entry { stored: stored.clone(), written: Some(stored.revision) };
        self.entries.insert(stored.instance.id, entry);
        Some(stored)
    }

    /// An instance that begins in this transaction.
    pub fn begin(&mut self, stored: Stored) {
        self.entries.insert(stored.instance.id, Entry { stored, written: None });
    }

    /// An instance has taken a step.
    pub fn step(&mut self, stored: &Stored) {
        if let Some(entry) = self.entries.get_mut(&stored.instance.id) {
            entry.stored.clone_from(stored);
        }
    }

    /// Children of one parent that have not ended.
    pub async fn open_children(&self, tx: &Tx, parent: Uuid) -> Result<Vec<Uuid>, StoreError> {
        let mut open = instances::open_children(tx, parent).await?;
        open.retain(|id| !self.entries.contains_key(id));
        let here = self.entries.values().map(|entry| &entry.stored.instance);
        let here = here.filter(|of| of.is_open() && of.parent.as_ref().is_some_and(|known| known.id == parent));
        open.extend(here.map(|of| of.id));
        Ok(open)
    }

    /// Has what has begun or moved on written at the transaction's end.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`].
    pub fn write(self, tx: &Tx) -> Result<(), StoreError> {
        let changed = self.entries.into_values().filter(|entry| entry.written != Some(entry.stored.revision));
        instances::defer_write(tx, changed.map(|entry| entry.stored).collect())
    }
}
