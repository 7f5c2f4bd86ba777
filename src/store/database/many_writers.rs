//! PostgreSQL's writers: each call is a transaction of its own, run again when the database asks for it.

use std::sync::Arc;

use super::pool::Pool;
use super::{StoreError, Tx, WriteError};
use crate::fail_point;

/// How often a transaction is run again before its error is given to the caller.
const ATTEMPTS: u32 = 20;

#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) pool: Pool,
    pub(super) tenant: Arc<str>,
}

impl Handle {
    pub(super) async fn run<T, E, F, Fut>(&self, work: F) -> Result<T, E>
    where
        E: WriteError,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.attempt(&work).await {
                Err(error) if attempt < ATTEMPTS && error.store_error().is_some_and(StoreError::is_passing) => {
                    tracing::debug!(attempt, "transaction is run again");
                }
                other => return other,
            }
        }
    }

    async fn attempt<T, E, F, Fut>(&self, work: &F) -> Result<T, E>
    where
        E: WriteError,
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let transaction = self.pool.begin().await.map_err(StoreError::from)?;
        let tx = Tx::new(transaction, self.tenant.clone());
        let value = tx.run(work).await?;
        let transaction = tx.into_transaction()?;
        fail_point!(async "store.commit");
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(value)
    }
}
