//! History of instances, one row a step.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::store::database::tables::history;
use crate::store::database::{Fetch, OfTenant};
use crate::store::{Access, StoreError, Tx};

pub use crate::store::database::tables::history::HistoryRecord;

/// Defers the insert of a row to COMMIT.
pub fn defer_history(tx: &Tx, row: HistoryRecord) {
    tx.pending.insert_history(row);
}

/// The history of these instances, each in its order.
pub async fn histories(access: &impl Access, instances: Vec<Uuid>) -> Result<Vec<HistoryRecord>, StoreError> {
    history::Entity::find_of(access)
        .filter(history::Column::Instance.is_in(instances))
        .order_by_asc(history::Column::Revision)
        .limit(10_000)
        .fetch_all(access)
        .await
}
