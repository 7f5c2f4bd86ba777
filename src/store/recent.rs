//! What was read a moment ago and is still so: pages that many people look at ask the database once between two changes.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use super::Store;

/// What another node has committed is seen this much later at most.
const LONGEST: Duration = Duration::from_secs(1);

/// Values by key, good until this process changes something, and for a second at most.
#[derive(Clone)]
pub struct Recent<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> {
    changes: Arc<AtomicU64>,
    values: Cache<K, (u64, V)>,
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Recent<K, V> {
    /// Keeps `most` values until anything is committed.
    pub fn new(store: &Store, most: u64) -> Self {
        Self::of(store.commits.clone(), most)
    }

    /// Keeps `most` values until the count of changes is another one: it is raised after the commit of each.
    pub fn of(changes: Arc<AtomicU64>, most: u64) -> Self {
        let values = Cache::builder().max_capacity(most).time_to_live(LONGEST).build();
        Self { changes, values }
    }

    /// The value, read again if something was changed since it was read.
    ///
    /// # Errors
    /// What `read` ends with.
    pub async fn get<E>(&self, key: K, read: impl AsyncFnOnce() -> Result<V, E>) -> Result<V, E> {
        // Counted before it is read: what is changed meanwhile makes it old.
        let changes = self.changes.load(Ordering::Acquire);
        if let Some((at, value)) = self.values.get(&key)
            && at == changes
        {
            return Ok(value);
        }
        let value = read().await?;
        self.values.insert(key, (changes, value.clone()));
        Ok(value)
    }
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> fmt::Debug for Recent<K, V> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Recent").field("values", &self.values.entry_count()).finish_non_exhaustive()
    }
}
