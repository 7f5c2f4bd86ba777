//! Audit rows and the chain that seals them.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::entities::{audit, audit_seal};
use super::{Access, StoreError, Tx};

pub use super::entities::audit::Model as AuditRow;
pub use super::entities::audit_seal::Model as SealRow;

pub async fn insert(tx: &Tx, row: AuditRow) -> Result<(), StoreError> {
    audit::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Committed rows that no seal covers yet, oldest first.
pub async fn unsealed(access: &impl Access, limit: u64) -> Result<Vec<AuditRow>, StoreError> {
    let rows = audit::Entity::find()
        .filter(audit::Column::Tenant.eq(access.tenant()))
        .filter(audit::Column::Sequence.is_null())
        .order_by_asc(audit::Column::At)
        .order_by_asc(audit::Column::Id)
        .limit(limit)
        .all(access.connection())
        .await?;
    Ok(rows)
}

pub async fn last_seal(access: &impl Access) -> Result<Option<SealRow>, StoreError> {
    let row = audit_seal::Entity::find()
        .filter(audit_seal::Column::Tenant.eq(access.tenant()))
        .order_by_desc(audit_seal::Column::Sequence)
        .one(access.connection())
        .await?;
    Ok(row)
}

/// Seals one row; the primary key of the sequence admits one sealer.
pub async fn seal(tx: &Tx, row: SealRow) -> Result<(), StoreError> {
    audit::Entity::update_many()
        .col_expr(audit::Column::Sequence, Expr::value(row.sequence))
        .filter(audit::Column::Tenant.eq(tx.tenant()))
        .filter(audit::Column::Id.eq(row.audit))
        .exec(tx.connection())
        .await?;
    audit_seal::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Seals and their rows after a sequence number, in order.
pub async fn chain(
    access: &impl Access,
    after: i64,
    limit: u64,
) -> Result<Vec<(SealRow, Option<AuditRow>)>, StoreError> {
    let seals = audit_seal::Entity::find()
        .filter(audit_seal::Column::Tenant.eq(access.tenant()))
        .filter(audit_seal::Column::Sequence.gt(after))
        .order_by_asc(audit_seal::Column::Sequence)
        .limit(limit)
        .all(access.connection())
        .await?;
    let ids: Vec<Uuid> = seals.iter().map(|seal| seal.audit).collect();
    let rows = audit::Entity::find()
        .filter(audit::Column::Tenant.eq(access.tenant()))
        .filter(audit::Column::Id.is_in(ids))
        .all(access.connection())
        .await?;
    Ok(seals
        .into_iter()
        .map(|seal| {
            let row = rows.iter().find(|row| row.id == seal.audit).cloned();
            (seal, row)
        })
        .collect())
}

/// The rows of one instance, oldest first.
pub async fn of_instance(access: &impl Access, instance: Uuid) -> Result<Vec<AuditRow>, StoreError> {
    let rows = audit::Entity::find()
        .filter(audit::Column::Tenant.eq(access.tenant()))
        .filter(audit::Column::Instance.eq(instance))
        .order_by_asc(audit::Column::At)
        .order_by_asc(audit::Column::Id)
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// The newest rows of one kind of event.
pub async fn of_event(access: &impl Access, event: &str, limit: u64) -> Result<Vec<AuditRow>, StoreError> {
    let rows = audit::Entity::find()
        .filter(audit::Column::Tenant.eq(access.tenant()))
        .filter(audit::Column::Event.eq(event))
        .order_by_desc(audit::Column::At)
        .limit(limit)
        .all(access.connection())
        .await?;
    Ok(rows)
}
