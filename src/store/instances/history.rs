//! History of instances, one row a step.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::store::entities::history;
use crate::store::{Access, StoreError, Tx};

pub use crate::store::entities::history::Model as HistoryRow;

/// Defers the insert of a row to COMMIT.
pub fn defer_history(tx: &Tx, row: HistoryRow) {
    tx.pending.insert_history(row);
}

/// What happened to these instances, each in its order.
pub async fn histories(access: &impl Access, instances: Vec<Uuid>) -> Result<Vec<HistoryRow>, StoreError> {
    let rows = history::Entity::find()
        .filter(history::Column::Tenant.eq(access.tenant()))
        .filter(history::Column::Instance.is_in(instances))
        .order_by_asc(history::Column::Revision)
        .limit(10_000)
        .all(access.connection())
        .await?;
    Ok(rows)
}
