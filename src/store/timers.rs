//! Timers of instances.

use sea_orm::sea_query::{Expr, Query, SelectStatement};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::database::tables::timer;
use super::database::{Fetch, OfTenant};
use super::{Access, StoreError, Tx};

pub use super::database::tables::timer::TimerRecord;

/// Defers the insert of a timer to COMMIT, in place of an older one of the same name.
pub fn defer_arm(tx: &Tx, instance: Uuid, name: &str, step: i64, due_at: i64) {
    tx.pending.arm(TimerRecord { instance, timer: name.to_owned(), step, due_at });
}

/// Takes a timer away that was found to be due; `false` when it is not that timer any more: it was fired elsewhere, or armed again.
pub async fn take(tx: &Tx, row: &TimerRecord) -> Result<bool, StoreError> {
    let deleted = timer::Entity::delete_of(tx)
        .filter(timer::Column::Instance.eq(row.instance))
        .filter(timer::Column::Timer.eq(&row.timer))
        .filter(timer::Column::Step.eq(row.step))
        .filter(timer::Column::DueAt.eq(row.due_at))
        .exec(tx.connection())
        .await?;
    Ok(deleted.rows_affected == 1)
}

/// Has a timer of an instance's step due now; `false` when there is none.
pub async fn expedite(tx: &Tx, instance: Uuid, name: &str, step: i64, now: i64) -> Result<bool, StoreError> {
    let updated = timer::Entity::update_of(tx)
        .col_expr(timer::Column::DueAt, Expr::value(now))
        .filter(timer::Column::Instance.eq(instance))
        .filter(timer::Column::Timer.eq(name))
        .filter(timer::Column::Step.eq(step))
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Timers that are due, the most overdue first, after the first `skip` of them.
pub async fn due(access: &impl Access, now: i64, skip: u64, limit: u64) -> Result<Vec<TimerRecord>, StoreError> {
    timer::Entity::find_of(access)
        .filter(timer::Column::DueAt.lte(now))
        .order_by_asc(timer::Column::DueAt)
        .order_by_asc(timer::Column::Instance)
        .offset(skip)
        .limit(limit)
        .fetch_all(access)
        .await
}

/// Timers of a name that are due later than a moment, the latest first.
pub async fn scheduled_after(
    access: &impl Access,
    name: &str,
    moment: i64,
    limit: u64,
) -> Result<Vec<TimerRecord>, StoreError> {
    timer::Entity::find_of(access)
        .filter(timer::Column::Timer.eq(name))
        .filter(timer::Column::DueAt.gt(moment))
        .order_by_desc(timer::Column::DueAt)
        .limit(limit)
        .fetch_all(access)
        .await
}

/// When the next timer is due that was not due at a moment.
pub async fn next_due(access: &impl Access, after: i64) -> Result<Option<i64>, StoreError> {
    let row = timer::Entity::find_of(access)
        .filter(timer::Column::DueAt.gt(after))
        .order_by_asc(timer::Column::DueAt)
        .fetch_one(access)
        .await?;
    Ok(row.map(|row| row.due_at))
}

/// When a timer of an instance is due.
pub(super) fn due_of(tenant: &str, instance: Uuid, timer: &str) -> SelectStatement {
    let mut select = Query::select();
    select
        .column(timer::Column::DueAt)
        .from(timer::Entity)
        .and_where(timer::Entity::is_of(tenant))
        .and_where(timer::Column::Instance.eq(instance))
        .and_where(timer::Column::Timer.eq(timer));
    select
}

/// Defers to COMMIT the removal of an ended instance's timers.
pub fn defer_disarm(tx: &Tx, instance: Uuid) {
    tx.pending.disarm(instance);
}
