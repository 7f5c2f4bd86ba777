//! Statements of the flush that are more than an insert of records.

use std::collections::BTreeSet;

use sea_orm::sea_query::{DeleteStatement, Expr, ExprTrait, InsertStatement, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait};
use uuid::Uuid;

use crate::store::database::tables::work::WorkRecord;
use crate::store::database::tables::{instance, timer, work};
use crate::store::database::{Access, OfTenant, StoreError, Tx, time};

/// The conflict clause for an instance that exists: it moves on, unless somebody else has moved it as far.
pub fn move_instance_on() -> OnConflict {
    let there = |column| Expr::col((instance::Entity, column));
    let ours = |column| Expr::col(("excluded", column));
    let is_later = there(instance::Column::Revision)
        .lt(ours(instance::Column::Revision))
        .and(there(instance::Column::Tenant).eq(ours(instance::Column::Tenant)));
    OnConflict::column(instance::Column::Id)
        .update_columns([
            instance::Column::State,
            instance::Column::Step,
            instance::Column::Status,
            instance::Column::Revision,
            instance::Column::ClaimedBy,
            instance::Column::Document,
            instance::Column::ChangedAt,
            instance::Column::EndedAt,
        ])
        .action_and_where(is_later)
        .to_owned()
}

/// Inserts a planned activity with its lease, which ends `lease` milliseconds from now by the database's clock.
pub fn insert_work(tx: &Tx, row: WorkRecord, lease: i64) -> Result<InsertStatement, StoreError> {
    let until = Expr::cust(format!("{} + {lease}", time::expression(tx.connection().get_database_backend())));
    let columns: [(work::Column, Expr); 12] = [
        (work::Column::Tenant, Expr::value(tx.tenant())),
        (work::Column::Id, Expr::value(row.id)),
        (work::Column::Instance, Expr::value(row.instance)),
        (work::Column::Step, Expr::value(row.step)),
        (work::Column::Activity, Expr::value(row.activity)),
        (work::Column::Definition, Expr::value(row.definition)),
        (work::Column::Parameters, Expr::value(row.parameters)),
        (work::Column::Plan, Expr::value(row.plan)),
        (work::Column::LeaseOwner, Expr::value(row.lease_owner)),
        (work::Column::LeaseEpoch, Expr::value(row.lease_epoch)),
        (work::Column::LeaseUntil, until),
        (work::Column::CreatedAt, Expr::value(row.created_at)),
    ];
    let (columns, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let mut insert = Query::insert();
    insert.into_table(work::Entity).columns(columns);
    insert.values(values).map_err(|error| StoreError::Inconsistent { table: "work", why: error.to_string() })?;
    Ok(insert)
}

/// Deletes a planned activity.
pub fn delete_work(tx: &Tx, id: Uuid) -> DeleteStatement {
    let mut delete = Query::delete();
    delete.from_table(work::Entity).and_where(work::Entity::is_of(tx.tenant())).and_where(work::Column::Id.eq(id));
    delete
}

/// The conflict clause for a timer of the same name: the new one replaces it.
pub fn rearm() -> OnConflict {
    OnConflict::columns([timer::Column::Instance, timer::Column::Timer])
        .update_columns([timer::Column::Step, timer::Column::DueAt])
        .to_owned()
}

/// Deletes all timers of some instances.
pub fn delete_timers(tx: &Tx, instances: BTreeSet<Uuid>) -> DeleteStatement {
    let mut delete = Query::delete();
    delete
        .from_table(timer::Entity)
        .and_where(timer::Entity::is_of(tx.tenant()))
        .and_where(timer::Column::Instance.is_in(instances));
    delete
}
