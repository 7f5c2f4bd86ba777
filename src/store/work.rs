//! Planned activities and their leases.

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType};
use sea_orm::{ColumnTrait, Condition, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::database::tables::{instance, work};
use super::database::{Fetch, OfTenant};
use super::instances::{self, Stored};
use super::{Access, StoreError, Tx};

pub use super::database::tables::work::WorkRecord;

/// Defers the insert of a planned activity to COMMIT; its lease ends `lease` milliseconds from then, by the database's clock.
pub fn defer_insert(tx: &Tx, row: WorkRecord, lease: i64) {
    tx.pending.insert_work(row, lease);
}

/// The capabilities of a node: the activities and the definitions that its release has.
#[derive(Clone, Debug)]
pub struct Capabilities {
    pub activities: Vec<String>,
    pub definitions: Vec<String>,
}

/// Claims up to `limit` planned activities that the node can do, whose lease is free or has run out; one that ends later than any lease was given by
/// a clock that was ahead, and has been set back since. Each gets the next epoch: what an older holder still reports is refused.
pub async fn claim(
    tx: &Tx,
    owner: &str,
    capabilities: &Capabilities,
    lease: i64,
    limit: u64,
) -> Result<Vec<WorkRecord>, StoreError> {
    let now = super::database_time(tx).await?;
    let free = Condition::any()
        .add(work::Column::LeaseUntil.is_null())
        .add(work::Column::LeaseUntil.lt(now))
        .add(work::Column::LeaseUntil.gt(now + 2 * lease));
    let rows = work::Entity::find_of(tx)
        .filter(free)
        .filter(work::Column::Activity.is_in(&capabilities.activities))
        .filter(work::Column::Definition.is_in(&capabilities.definitions))
        .order_by_asc(work::Column::Id)
        .limit(limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .fetch_all(tx)
        .await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for mut row in rows {
        row.lease_owner = Some(owner.to_owned());
        row.lease_epoch += 1;
        row.lease_until = Some(now + lease);
        work::Entity::update_of(tx)
            .col_expr(work::Column::LeaseOwner, Expr::value(owner))
            .col_expr(work::Column::LeaseEpoch, Expr::value(row.lease_epoch))
            .col_expr(work::Column::LeaseUntil, Expr::value(now + lease))
            .filter(work::Column::Id.eq(row.id))
            .exec(tx.connection())
            .await?;
        claimed.push(row);
    }
    Ok(claimed)
}

/// Extends the leases that `owner` still has; gives how many they are.
pub async fn heartbeat(tx: &Tx, owner: &str, held: &[(Uuid, i64)], lease: i64) -> Result<u64, StoreError> {
    let now = super::database_time(tx).await?;
    let mut kept = 0;
    for (id, epoch) in held {
        let updated = work::Entity::update_of(tx)
            .col_expr(work::Column::LeaseUntil, Expr::value(now + lease))
            .filter(work::Column::Id.eq(*id))
            .filter(work::Column::LeaseOwner.eq(owner))
            .filter(work::Column::LeaseEpoch.eq(*epoch))
            .exec(tx.connection())
            .await?;
        kept += updated.rows_affected;
    }
    Ok(kept)
}

/// Reads and locks the instance of an activity that is done, and defers the activity's removal to COMMIT; none when the lease is
/// somebody else's by now: until the transaction ends nobody can claim it.
pub async fn defer_finish(tx: &Tx, row: &WorkRecord) -> Result<Option<Stored>, StoreError> {
    let of_instance =
        Expr::col((work::Entity, work::Column::Instance)).equals((instance::Entity, instance::Column::Id));
    let mut query = instances::locked(tx)
        .filter(work::Entity::is_of(tx.tenant()))
        .filter(work::Column::Id.eq(row.id))
        .filter(work::Column::LeaseEpoch.eq(row.lease_epoch));
    QueryTrait::query(&mut query).inner_join(work::Entity, of_instance);
    let stored = instances::read_one(tx, query).await?;
    if let Some(stored) = &stored {
        tx.pending.finish_work(row.id, stored.instance.id);
    }
    Ok(stored)
}

/// Removes at once what an instance has planned, also where the insert is deferred.
pub async fn remove(tx: &Tx, instance: Uuid) -> Result<(), StoreError> {
    tx.pending.remove_work(instance);
    work::Entity::delete_of(tx).filter(work::Column::Instance.eq(instance)).exec(tx.connection()).await?;
    Ok(())
}

/// How many activities are planned or under way.
pub async fn count(access: &impl Access) -> Result<i64, StoreError> {
    let count = work::Entity::find_of(access).count(access.connection()).await?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Whether anything can be claimed or is leased: the engine's heartbeat asks without writing.
pub async fn is_pending(access: &impl Access) -> Result<bool, StoreError> {
    let row = work::Entity::find_of(access).fetch_one(access).await?;
    Ok(row.is_some())
}

/// Ends every lease, as time does after a node was killed.
#[cfg(test)]
pub(crate) async fn end_leases(store: &super::Store) -> Result<(), StoreError> {
    let ended = store.write::<_, StoreError, _, _>(|tx| async move {
        work::Entity::update_of(&tx).col_expr(work::Column::LeaseUntil, Expr::value(0)).exec(tx.connection()).await?;
        Ok(())
    });
    ended.await
}
