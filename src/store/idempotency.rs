//! Keys of requests that may be sent twice.

use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use super::entities::idempotency;
use super::{Access, StoreError, Tx};

pub use super::entities::idempotency::Model as IdempotencyRow;

pub async fn insert(tx: &Tx, row: IdempotencyRow) -> Result<(), StoreError> {
    match idempotency::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await {
        Err(error) if StoreError::is_unique_violation(&error) => Err(StoreError::Exists("idempotency key")),
        other => Ok(other.map(drop)?),
    }
}

pub async fn find(access: &impl Access, login: &str, key: &str) -> Result<Option<IdempotencyRow>, StoreError> {
    let id = (access.tenant().to_owned(), login.to_owned(), key.to_owned());
    Ok(idempotency::Entity::find_by_id(id).one(access.connection()).await?)
}

/// Forgets the keys of a login.
pub async fn forget(tx: &Tx, login: &str) -> Result<(), StoreError> {
    idempotency::Entity::delete_many()
        .filter(idempotency::Column::Tenant.eq(tx.tenant()))
        .filter(idempotency::Column::Login.eq(login))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Forgets keys that were used before `before`.
pub async fn expire(tx: &Tx, before: i64) -> Result<u64, StoreError> {
    let deleted = idempotency::Entity::delete_many()
        .filter(idempotency::Column::Tenant.eq(tx.tenant()))
        .filter(idempotency::Column::CreatedAt.lt(before))
        .exec(tx.connection())
        .await?;
    Ok(deleted.rows_affected)
}
