//! Requests that may be sent twice: the same key does a thing once.

use super::{Engine, EngineError};
use crate::store::idempotency::IdempotencyRecord;
use crate::store::{Store, StoreError, Tx, idempotency};
use uuid::Uuid;

/// How long a key is remembered, in milliseconds.
pub const REMEMBERED: i64 = 24 * 60 * 60_000;

/// A key that a caller has chosen, and the digest of what it was sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub key: String,
    pub digest: String,
}

impl Key {
    /// Remembers the key in the transaction of what it is for.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when it was used before.
    pub(super) async fn remember(&self, tx: &Tx, login: &str, instance: Uuid, at: i64) -> Result<(), StoreError> {
        let row = IdempotencyRecord {
            login: login.to_owned(),
            key: self.key.clone(),
            digest: self.digest.clone(),
            instance,
            created_at: at,
        };
        idempotency::insert(tx, row).await
    }

    /// Remembers the key of a request that has begun nothing, because `instance` was open; gives the instance of the request that used the key first.
    ///
    /// # Errors
    /// As [`Key::first`].
    pub(super) async fn remember_alone(
        &self,
        store: &Store,
        login: &str,
        instance: Uuid,
        at: i64,
    ) -> Result<Uuid, EngineError> {
        let (used, caller) = (self.clone(), login.to_owned());
        let remembered = store
            .write::<_, StoreError, _, _>(move |tx| {
                let (key, login) = (used.clone(), caller.clone());
                async move { key.remember(&tx, &login, instance, at).await }
            })
            .await;
        match remembered {
            Err(StoreError::Exists(_)) => self.first(store, login).await,
            other => Ok(other.map(|()| instance)?),
        }
    }

    /// The instance of the request that used this key first.
    ///
    /// # Errors
    /// [`EngineError::KeyReused`] when that was another request.
    pub(super) async fn first(&self, store: &Store, login: &str) -> Result<Uuid, EngineError> {
        let row = idempotency::find(store.read(), login, &self.key).await?.ok_or(EngineError::NotFound)?;
        if row.digest == self.digest { Ok(row.instance) } else { Err(EngineError::KeyReused) }
    }
}

impl Engine {
    /// Forgets idempotency keys that were used more than a day ago.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn forget_keys(&self) -> Result<u64, EngineError> {
        let before = self.clock().now_ms() - REMEMBERED;
        Ok(self
            .store()
            .write::<_, StoreError, _, _>(move |tx| async move { idempotency::expire(&tx, before).await })
            .await?)
    }
}
