//! The clock of this node, compared with the database's before anything is signed.

use std::sync::Arc;

use crate::clock::{Clock, MOST_APART, moment};
use crate::store::{Store, StoreError, database_time};

/// Tells whether this node may date certificates and lists. Cheap to clone.
#[derive(Clone)]
pub struct NodeClock {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl NodeClock {
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Whether it agrees with the database's clock to [`MOST_APART`]. A node whose clock does not signs nothing: another one does, or it itself
    /// when its clock was set right.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_right(&self) -> Result<bool, StoreError> {
        let ahead = self.clock.ahead_of(moment(database_time(self.store.read()).await?));
        let is_right = ahead.abs() <= MOST_APART;
        if !is_right {
            let seconds = ahead.whole_seconds();
            tracing::error!(seconds, "this node's clock is ahead of the database's by so much: it signs nothing");
        }
        metrics::gauge!("sealwright_clock_ahead_seconds").set(ahead.as_seconds_f64());
        Ok(is_right)
    }
}

impl std::fmt::Debug for NodeClock {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NodeClock").finish_non_exhaustive()
    }
}
