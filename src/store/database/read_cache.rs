//! Cache of reads: pages that many people look at query the database once between two commits.

use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use super::Store;

/// Time to live: another node's commit is seen this much later at most.
const LONGEST: Duration = Duration::from_secs(1);

/// Values by key, good until this process changes something, and for a second at most.
#[derive(Clone)]
pub struct ReadCache<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> {
    /// Counted after the commit of each.
    commits: Arc<AtomicU64>,
    places: Cache<K, Arc<Place<V>>>,
}

/// The value of a key with the number of commits before it was read: a later commit makes it stale.
type Place<V> = Mutex<Option<(u64, V)>>;

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> ReadCache<K, V> {
    /// Keeps `most` values until anything is committed.
    pub fn new(store: &Store, most: u64) -> Self {
        Self { commits: store.commits.clone(), ..Self::until_forgotten(most) }
    }

    /// Keeps `most` values, each until [`ReadCache::forget`] says that it is old.
    pub fn until_forgotten(most: u64) -> Self {
        Self { commits: Arc::default(), places: Cache::builder().max_capacity(most).time_to_live(LONGEST).build() }
    }

    /// The value, read again if something was changed since it was read.
    ///
    /// # Errors
    /// The error of `read`.
    pub async fn get<E>(&self, key: K, read: impl AsyncFnOnce() -> Result<V, E>) -> Result<V, E> {
        let place = self.places.get_with(key, Arc::default);
        let commits = self.commits.load(Ordering::Acquire);
        if let Some((at, value)) = &*place.lock().unwrap_or_else(PoisonError::into_inner)
            && *at == commits
        {
            return Ok(value.clone());
        }
        let value = read().await?;
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some((commits, value.clone()));
        Ok(value)
    }

    /// Has the value of a key read again, once what it is of was changed. Whoever reads it meanwhile keeps it where nobody looks any more.
    pub fn forget(&self, key: &K) {
        self.places.invalidate(key);
    }
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> fmt::Debug for ReadCache<K, V> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ReadCache").field("values", &self.places.entry_count()).finish_non_exhaustive()
    }
}
