//! Inbox of an instance: events that other transactions left for it.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::database::tables::inbox;
use super::database::{Fetch, OfTenant, insertion};
use super::{Access, StoreError, Tx};

pub use super::database::tables::inbox::InboxRecord;

/// Leaves an event for an instance.
pub async fn post(tx: &Tx, row: InboxRecord) -> Result<(), StoreError> {
    insertion(tx, row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The events of an instance, in the order of their arrival.
pub async fn arrivals(tx: &Tx, instance: Uuid) -> Result<Vec<InboxRecord>, StoreError> {
    inbox::Entity::find_of(tx)
        .filter(inbox::Column::Instance.eq(instance))
        .order_by_asc(inbox::Column::Id)
        .limit(100)
        .fetch_all(tx)
        .await
}

pub async fn remove(tx: &Tx, ids: Vec<Uuid>) -> Result<(), StoreError> {
    inbox::Entity::delete_of(tx).filter(inbox::Column::Id.is_in(ids)).exec(tx.connection()).await?;
    Ok(())
}

/// Instances that have arrivals to read, after the first `skip` of them.
pub async fn with_arrivals(access: &impl Access, skip: u64, limit: u64) -> Result<Vec<Uuid>, StoreError> {
    let rows = inbox::Entity::find_of(access)
        .select_only()
        .column(inbox::Column::Instance)
        .distinct()
        .order_by_asc(inbox::Column::Instance)
        .offset(skip)
        .limit(limit)
        .into_tuple::<Uuid>()
        .all(access.connection())
        .await?;
    Ok(rows)
}
