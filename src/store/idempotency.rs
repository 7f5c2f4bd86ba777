//! Keys of requests that may be sent twice.

use sea_orm::{ColumnTrait, QueryFilter};

use super::database::tables::idempotency;
use super::database::{self, Fetch, OfTenant};
use super::{Access, StoreError, Tx};

pub use super::database::tables::idempotency::IdempotencyRecord;

pub async fn insert(tx: &Tx, record: IdempotencyRecord) -> Result<(), StoreError> {
    database::insert(tx, record, "idempotency key").await
}

pub async fn find(access: &impl Access, login: &str, key: &str) -> Result<Option<IdempotencyRecord>, StoreError> {
    idempotency::Entity::find_of(access)
        .filter(idempotency::Column::Login.eq(login))
        .filter(idempotency::Column::Key.eq(key))
        .fetch_one(access)
        .await
}

/// Forgets the keys of a login.
pub async fn forget(tx: &Tx, login: &str) -> Result<(), StoreError> {
    idempotency::Entity::delete_of(tx).filter(idempotency::Column::Login.eq(login)).exec(tx.connection()).await?;
    Ok(())
}

/// Forgets keys that were used before `before`.
pub async fn expire(tx: &Tx, before: i64) -> Result<u64, StoreError> {
    let deleted = idempotency::Entity::delete_of(tx)
        .filter(idempotency::Column::CreatedAt.lt(before))
        .exec(tx.connection())
        .await?;
    Ok(deleted.rows_affected)
}
