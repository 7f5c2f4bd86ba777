//! Conditions of the world that instances wait for.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::entities::watch;
use super::{Access, StoreError, Tx};

pub use super::entities::watch::Model as WatchRow;

/// Has an instance wait for a condition, in place of the one that it waited for.
pub async fn insert(
    tx: &Tx,
    instance: Uuid,
    step: i64,
    condition: &str,
    about: Option<&str>,
) -> Result<(), StoreError> {
    let (condition, about) = (condition.to_owned(), about.map(str::to_owned));
    let row = WatchRow { tenant: tx.tenant().to_owned(), instance, step, condition, about };
    watch::Entity::insert(row.into_active_model())
        .on_conflict(
            OnConflict::column(watch::Column::Instance)
                .update_columns([watch::Column::Step, watch::Column::Condition, watch::Column::About])
                .to_owned(),
        )
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

/// Ends the wait of an instance.
pub async fn remove(tx: &Tx, instance: Uuid) -> Result<(), StoreError> {
    watch::Entity::delete_many()
        .filter(watch::Column::Tenant.eq(tx.tenant()))
        .filter(watch::Column::Instance.eq(instance))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Conditions that are waited for, after the first `skip` of them.
pub async fn list(access: &impl Access, skip: u64, limit: u64) -> Result<Vec<WatchRow>, StoreError> {
    let rows = watch::Entity::find()
        .filter(watch::Column::Tenant.eq(access.tenant()))
        .order_by_asc(watch::Column::Instance)
        .offset(skip)
        .limit(limit)
        .all(access.connection())
        .await?;
    Ok(rows)
}
