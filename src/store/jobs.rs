//! Jobs for the agent: `queued`, then `done` or `withdrawn`.

use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, sea_query::Expr};
use uuid::Uuid;

use super::entities::job;
use super::{Access, StoreError, Tx};

pub use super::entities::job::Model as JobRow;

pub async fn insert(tx: &Tx, row: JobRow) -> Result<(), StoreError> {
    job::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

pub async fn find(access: &impl Access, id: Uuid) -> Result<Option<JobRow>, StoreError> {
    let row =
        job::Entity::find_by_id(id).filter(job::Column::Tenant.eq(access.tenant())).one(access.connection()).await?;
    Ok(row)
}

/// What is queued for a root's agent, oldest first.
pub async fn queued(access: &impl Access, root: Uuid) -> Result<Vec<JobRow>, StoreError> {
    let rows = job::Entity::find()
        .filter(job::Column::Tenant.eq(access.tenant()))
        .filter(job::Column::Root.eq(root))
        .filter(job::Column::State.eq("queued"))
        .order_by_asc(job::Column::CreatedAt)
        .order_by_asc(job::Column::Id)
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// Every job of a tree, for the times that a card took.
pub async fn of_root(access: &impl Access, root: Uuid) -> Result<Vec<JobRow>, StoreError> {
    let rows = job::Entity::find()
        .filter(job::Column::Tenant.eq(access.tenant()))
        .filter(job::Column::Root.eq(root))
        .order_by_asc(job::Column::CreatedAt)
        .order_by_asc(job::Column::Id)
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// Ends a queued job; `false` when it was not queued any more.
pub async fn end(tx: &Tx, id: Uuid, state: &str, at: i64) -> Result<bool, StoreError> {
    let updated = job::Entity::update_many()
        .col_expr(job::Column::State, Expr::value(state))
        .col_expr(job::Column::EndedAt, Expr::value(at))
        .filter(job::Column::Tenant.eq(tx.tenant()))
        .filter(job::Column::Id.eq(id))
        .filter(job::Column::State.eq("queued"))
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Withdraws what an instance has queued.
pub async fn withdraw(tx: &Tx, instance: Uuid, at: i64) -> Result<(), StoreError> {
    job::Entity::update_many()
        .col_expr(job::Column::State, Expr::value("withdrawn"))
        .col_expr(job::Column::EndedAt, Expr::value(at))
        .filter(job::Column::Tenant.eq(tx.tenant()))
        .filter(job::Column::Instance.eq(instance))
        .filter(job::Column::State.eq("queued"))
        .exec(tx.connection())
        .await?;
    Ok(())
}
