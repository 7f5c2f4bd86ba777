//! Conditions of the world that instances wait for.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::database::tables::watch;
use super::database::{Fetch, OfTenant, insertion};
use super::{Access, StoreError, Tx};

pub use super::database::tables::watch::WatchRecord;

/// Has an instance wait for a condition, in place of the one that it waited for.
pub async fn insert(
    tx: &Tx,
    instance: Uuid,
    step: i64,
    condition: &str,
    about: Option<&str>,
) -> Result<(), StoreError> {
    let (condition, about) = (condition.to_owned(), about.map(str::to_owned));
    let row = WatchRecord { instance, step, condition, about };
    insertion(tx, row)
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
    watch::Entity::delete_of(tx).filter(watch::Column::Instance.eq(instance)).exec(tx.connection()).await?;
    Ok(())
}

/// Conditions that are waited for, after the first `skip` of them.
pub async fn list(access: &impl Access, skip: u64, limit: u64) -> Result<Vec<WatchRecord>, StoreError> {
    watch::Entity::find_of(access)
        .order_by_asc(watch::Column::Instance)
        .offset(skip)
        .limit(limit)
        .fetch_all(access)
        .await
}
