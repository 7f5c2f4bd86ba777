//! Audit rows and the chain that seals them.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::database::audit_chain;
use super::database::tables::{audit, audit_seal, instance};
use super::database::{Fetch, OfTenant, Record};
use super::{Access, StoreError, Tx};

pub use super::database::audit_chain::{ChainEnd, link};
pub use super::database::tables::audit::AuditRecord;
pub use super::database::tables::audit_seal::SealRecord;

/// Defers the insert of a row to COMMIT; where no other transaction can be under way, with its seal.
pub fn defer_insert(tx: &Tx, row: AuditRecord) {
    tx.pending.insert_audit(row);
}

/// Committed rows that no seal covers yet, oldest first.
pub async fn unsealed(access: &impl Access, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
    audit::Entity::find_of(access)
        .filter(audit::Column::Sequence.is_null())
        .order_by_asc(audit::Column::At)
        .order_by_asc(audit::Column::Id)
        .limit(limit)
        .fetch_all(access)
        .await
}

/// How many rows wait for their seal.
pub async fn count_unsealed(access: &impl Access) -> Result<i64, StoreError> {
    let unsealed =
        audit::Entity::find_of(access).filter(audit::Column::Sequence.is_null()).count(access.connection()).await?;
    Ok(i64::try_from(unsealed).unwrap_or(i64::MAX))
}

pub async fn last_seal(access: &impl Access) -> Result<Option<SealRecord>, StoreError> {
    audit_chain::last_of(access.tenant()).fetch_one(access).await
}

/// The seal of one sequence number.
pub async fn seal_of(access: &impl Access, sequence: i64) -> Result<Option<SealRecord>, StoreError> {
    audit_seal::Entity::find_of(access).filter(audit_seal::Column::Sequence.eq(sequence)).fetch_one(access).await
}

/// Writes the seals of rows that are stored; the primary key of the sequence admits one sealer.
pub async fn write_seals(tx: &Tx, mut seals: Vec<SealRecord>, end: ChainEnd) -> Result<(), StoreError> {
    // A connection keeps each statement that it has prepared: there is one for each power of two, not one for each number of rows.
    while let Some(length) = seals.len().checked_ilog2().map(|power| std::cmp::min(1 << power, MOST_SEALS)) {
        let rest = seals.split_off(length);
        write_some_seals(tx, std::mem::replace(&mut seals, rest)).await?;
    }
    tx.move_chain_end(end);
    Ok(())
}

/// Seals in one statement, a power of two.
const MOST_SEALS: usize = 256;

async fn write_some_seals(tx: &Tx, seals: Vec<SealRecord>) -> Result<(), StoreError> {
    let rows: Vec<Uuid> = seals.iter().map(|seal| seal.audit).collect();
    let seals = seals.into_iter().map(|seal| seal.into_row(tx.tenant()));
    audit_seal::Entity::insert_many(seals).exec_without_returning(tx.connection()).await?;
    let mut sequence = Query::select();
    sequence.column((audit_seal::Entity, audit_seal::Column::Sequence)).from(audit_seal::Entity).and_where(
        Expr::col((audit_seal::Entity, audit_seal::Column::Audit)).equals((audit::Entity, audit::Column::Id)),
    );
    audit::Entity::update_of(tx)
        .col_expr(audit::Column::Sequence, Expr::from(sequence))
        .filter(audit::Column::Id.is_in(rows))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Wipes the personal part of sealed rows: those that a person caused, those of instances that are the person's, and those that name the person
/// whoever caused them. Gives how many.
pub async fn erase(tx: &Tx, login: &str) -> Result<u64, StoreError> {
    let theirs = instance::Entity::find_of(tx)
        .select_only()
        .column(instance::Column::Id)
        .filter(instance::Column::Owner.eq(login))
        .into_query();
    // `login`, `claimed` and `owner` of the events.
    let names = |key: &str| Expr::cust(format!("detail ->> '{key}'")).eq(login);
    let of_person = Condition::any()
        .add(audit::Column::Actor.eq(login))
        .add(audit::Column::Instance.in_subquery(theirs))
        .add(names("login"))
        .add(names("claimed"))
        .add(names("owner"));
    let erased = audit::Entity::update_of(tx)
        .col_expr(audit::Column::Actor, Expr::value(None::<String>))
        .col_expr(audit::Column::Address, Expr::value(None::<String>))
        .col_expr(audit::Column::Detail, Expr::value(None::<serde_json::Value>))
        .col_expr(audit::Column::Salt, Expr::value(None::<String>))
        .filter(audit::Column::Sequence.is_not_null())
        .filter(audit::Column::Salt.is_not_null())
        .filter(of_person)
        .exec(tx.connection())
        .await?;
    Ok(erased.rows_affected)
}

/// Seals and their rows after a sequence number, in order.
pub async fn chain(
    access: &impl Access,
    after: i64,
    limit: u64,
) -> Result<Vec<(SealRecord, Option<AuditRecord>)>, StoreError> {
    let seals = audit_seal::Entity::find_of(access)
        .filter(audit_seal::Column::Sequence.gt(after))
        .order_by_asc(audit_seal::Column::Sequence)
        .limit(limit)
        .fetch_all(access)
        .await?;
    let ids: Vec<Uuid> = seals.iter().map(|seal| seal.audit).collect();
    let rows = audit::Entity::find_of(access).filter(audit::Column::Id.is_in(ids)).fetch_all(access).await?;
    Ok(seals
        .into_iter()
        .map(|seal| {
            let row = rows.iter().find(|row| row.id == seal.audit).cloned();
            (seal, row)
        })
        .collect())
}

/// The rows of one instance, oldest first.
pub async fn of_instance(access: &impl Access, instance: Uuid) -> Result<Vec<AuditRecord>, StoreError> {
    audit::Entity::find_of(access)
        .filter(audit::Column::Instance.eq(instance))
        .order_by_asc(audit::Column::At)
        .order_by_asc(audit::Column::Id)
        .fetch_all(access)
        .await
}

/// The newest rows of one kind of event.
pub async fn of_event(access: &impl Access, event: &str, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
    audit::Entity::find_of(access)
        .filter(audit::Column::Event.eq(event))
        .order_by_desc(audit::Column::At)
        .limit(limit)
        .fetch_all(access)
        .await
}
