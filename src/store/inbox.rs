//! Inbox of an instance: events that other transactions left for it.

use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::entities::inbox;
use super::{Access, StoreError, Tx};

pub use super::entities::inbox::Model as InboxRow;

/// Leaves an event for an instance.
pub async fn post(tx: &Tx, row: InboxRow) -> Result<(), StoreError> {
    inbox::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The events of an instance, in the order of their arrival.
pub async fn arrivals(tx: &Tx, instance: Uuid) -> Result<Vec<InboxRow>, StoreError> {
    let rows = inbox::Entity::find()
        .filter(inbox::Column::Tenant.eq(tx.tenant()))
        .filter(inbox::Column::Instance.eq(instance))
        .order_by_asc(inbox::Column::Id)
        .limit(100)
        .all(tx.connection())
        .await?;
    Ok(rows)
}

pub async fn remove(tx: &Tx, ids: Vec<Uuid>) -> Result<(), StoreError> {
    inbox::Entity::delete_many()
        .filter(inbox::Column::Tenant.eq(tx.tenant()))
        .filter(inbox::Column::Id.is_in(ids))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Instances that have arrivals to read, after the first `skip` of them.
pub async fn with_arrivals(access: &impl Access, skip: u64, limit: u64) -> Result<Vec<Uuid>, StoreError> {
    let rows = inbox::Entity::find()
        .select_only()
        .column(inbox::Column::Instance)
        .distinct()
        .filter(inbox::Column::Tenant.eq(access.tenant()))
        .order_by_asc(inbox::Column::Instance)
        .offset(skip)
        .limit(limit)
        .into_tuple::<Uuid>()
        .all(access.connection())
        .await?;
    Ok(rows)
}
