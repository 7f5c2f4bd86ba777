//! Jobs for the agent: `queued`, then `done` or `withdrawn`.

use sea_orm::sea_query::{Expr, LockType, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

use super::entities::{job, pairing};
use super::{Access, StoreError, Tx};

pub use super::entities::job::Model as JobRow;

pub async fn insert(tx: &Tx, row: JobRow) -> Result<(), StoreError> {
    job::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The agent that works for a root.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    pub pairing: Uuid,
    /// Of the pairing, when the agent took hold of it.
    pub epoch: i64,
    pub root: Uuid,
}

impl Holder {
    /// Finds the pairing while this agent holds it.
    fn holds(&self, tenant: &str) -> SelectStatement {
        let mut select = Query::select();
        select
            .expr(Expr::val(1))
            .from(pairing::Entity)
            .and_where(pairing::Column::Tenant.eq(tenant))
            .and_where(pairing::Column::Id.eq(self.pairing))
            .and_where(pairing::Column::Root.eq(self.root))
            .and_where(pairing::Column::Epoch.eq(self.epoch))
            .and_where(pairing::Column::State.eq("confirmed"));
        select
    }
}

fn queued_for(access: &impl Access, agent: Holder) -> Select<job::Entity> {
    job::Entity::find()
        .filter(job::Column::Tenant.eq(access.tenant()))
        .filter(job::Column::Root.eq(agent.root))
        .filter(job::Column::State.eq("queued"))
        .filter(Expr::exists(agent.holds(access.tenant())))
}

/// What is queued for an agent, oldest first; nothing when another one has taken over.
pub async fn queued(access: &impl Access, agent: Holder) -> Result<Vec<JobRow>, StoreError> {
    let query = queued_for(access, agent).order_by_asc(job::Column::CreatedAt).order_by_asc(job::Column::Id);
    Ok(query.all(access.connection()).await?)
}

/// Whether an agent is to do this job now.
pub async fn is_queued(access: &impl Access, id: Uuid, agent: Holder) -> Result<bool, StoreError> {
    let query = queued_for(access, agent).filter(job::Column::Id.eq(id));
    Ok(query.count(access.connection()).await? == 1)
}

/// When the jobs of a tree were queued and when they ended, in milliseconds.
pub async fn times(access: &impl Access, root: Uuid) -> Result<Vec<(i64, Option<i64>)>, StoreError> {
    let rows = job::Entity::find()
        .select_only()
        .columns([job::Column::CreatedAt, job::Column::EndedAt])
        .filter(job::Column::Tenant.eq(access.tenant()))
        .filter(job::Column::Root.eq(root))
        .into_tuple()
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// Ends a queued job that an agent has done; `false` when it was not queued any more, or another agent has taken over. Until the transaction ends no
/// other one can: it would be handed what is done.
pub async fn done(tx: &Tx, id: Uuid, agent: Holder, at: i64) -> Result<bool, StoreError> {
    let mut holds = agent.holds(tx.tenant());
    let updated = job::Entity::update_many()
        .col_expr(job::Column::State, Expr::value("done"))
        .col_expr(job::Column::EndedAt, Expr::value(at))
        .filter(job::Column::Tenant.eq(tx.tenant()))
        .filter(job::Column::Id.eq(id))
        .filter(job::Column::State.eq("queued"))
        .filter(Expr::exists(holds.lock(LockType::Share).to_owned()))
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
