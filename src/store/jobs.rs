//! Jobs of cards, for the agent.

use sea_orm::sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, DbErr, FromQueryResult, IdenStatic, Iterable, PaginatorTrait, QueryFilter, QueryResult,
    QuerySelect, QueryTrait,
};
use uuid::Uuid;

use super::database::tables::{card, instance, job, pairing};
use super::database::{OfTenant, Statement};
use super::instances::{Listed, Stored};
use super::pairings::PairingState;
use super::{Access, StoreError, Tx, instances};

pub use super::database::tables::job::{JobRecord, JobState};

/// Defers the insert of a job to COMMIT.
pub fn defer_insert(tx: &Tx, row: JobRecord) {
    tx.pending.insert_job(row);
}

/// The agent that works for a root.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    pub pairing: Uuid,
    /// The epoch of the pairing when the agent took hold of it.
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
            .and_where(pairing::Entity::is_of(tenant))
            .and_where(pairing::Column::Id.eq(self.pairing))
            .and_where(pairing::Column::Root.eq(self.root))
            .and_where(pairing::Column::Epoch.eq(self.epoch))
            .and_where(pairing::Column::State.eq(PairingState::Confirmed));
        select
    }
}

/// The condition that a job is queued for an agent; false when another agent has taken over.
fn is_for(tenant: &str, agent: Holder) -> Condition {
    is_queued_for(tenant, agent).add(job::Entity::is_of(tenant))
}

/// The same, in a query that names the tenant already.
fn is_queued_for(tenant: &str, agent: Holder) -> Condition {
    Condition::all()
        .add(job::Column::Root.eq(agent.root))
        .add(job::Column::State.eq(JobState::Queued))
        .add(Expr::exists(agent.holds(tenant)))
}

/// A job, beside the instance that queued it.
fn of_instance() -> Expr {
    Expr::col((job::Entity, job::Column::Instance)).equals((instance::Entity, instance::Column::Id))
}

/// Finds a job while an agent is to do it.
pub(super) fn queued(tenant: &str, id: Uuid, agent: Holder) -> SelectStatement {
    let mut select = Query::select();
    select.expr(Expr::val(1)).from(job::Entity).and_where(job::Column::Id.eq(id)).cond_where(is_for(tenant, agent));
    select
}

/// Whether an agent is to do this job now.
pub async fn is_queued(access: &impl Access, id: Uuid, agent: Holder) -> Result<bool, StoreError> {
    let queued = is_queued_for(access.tenant(), agent);
    let query = job::Entity::find_of(access).filter(job::Column::Id.eq(id)).filter(queued);
    Ok(query.count(access.connection()).await? == 1)
}

/// A job that waits for an agent.
#[derive(Clone, Debug)]
pub struct Queued {
    pub row: JobRecord,
    /// Serial number of the card that it is for.
    pub serial: Option<String>,
}

/// Reads the open part of the tree that an agent works for, with its root, and the jobs queued for that agent, in one query; each
/// oldest first.
pub async fn outlook(access: &impl Access, agent: Holder) -> Result<(Vec<Listed>, Vec<Queued>), StoreError> {
    let mut serial = Query::select();
    serial
        .column(card::Column::Serial)
        .from(card::Entity)
        .and_where(card::Entity::is_of(access.tenant()))
        .and_where(Expr::col((card::Entity, card::Column::Id)).equals((job::Entity, job::Column::Card)));
    let mut query = job::Column::iter()
        .fold(instances::outline_of(access, agent.root), |query, column| {
            query.column_as(column, format!("{JOB}{}", column.as_str()))
        })
        // Joined, a database that has not counted its cards yet would read all of them.
        .column_as(Expr::SubQuery(None, Box::new(serial.into())), SERIAL)
        .filter(instance::Column::EndedAt.is_null().or(instance::Column::Id.eq(agent.root)));
    QueryTrait::query(&mut query).left_join(job::Entity, is_for(access.tenant(), agent).add(of_instance()));
    let rows = query.into_model::<Part>().all(access.connection()).await?;
    let (mut tree, mut queued) = (Vec::<Listed>::new(), Vec::new());
    for Part { listed, job } in rows {
        if tree.last().is_none_or(|last| last.id != listed.id) {
            tree.push(listed);
        }
        queued.extend(job);
    }
    queued.sort_by_key(|job: &Queued| (job.row.created_at, job.row.id));
    Ok((tree, queued))
}

/// Prefix of a job's columns beside those of its instance.
const JOB: &str = "job_";
/// The card's serial number beside them.
const SERIAL: &str = "card_serial";

/// An instance, and a job of it; there is a row for each job.
struct Part {
    listed: Listed,
    job: Option<Queued>,
}

impl FromQueryResult for Part {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let serial = row.try_get(prefix, SERIAL)?;
        let job = Option::<JobRecord>::from_query_result(row, &format!("{prefix}{JOB}"))?;
        let job = job.map(|row| Queued { row, serial });
        Ok(Self { listed: Listed::from_query_result(row, prefix)?, job })
    }
}

/// When the jobs of a tree were queued and when they ended, in milliseconds.
pub async fn times(access: &impl Access, root: Uuid) -> Result<Vec<(i64, Option<i64>)>, StoreError> {
    let rows = job::Entity::find_of(access)
        .select_only()
        .columns([job::Column::CreatedAt, job::Column::EndedAt])
        .filter(job::Column::Root.eq(root))
        .into_tuple()
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// Reads and locks the instance of a queued job that an agent has done, and defers the job's end to COMMIT; none when it is not
/// queued any more, or another agent has taken over. Until the transaction ends no other one can: it would be handed what is done.
pub async fn defer_finish(tx: &Tx, id: Uuid, agent: Holder, at: i64) -> Result<Option<Stored>, StoreError> {
    let mut holds = agent.holds(tx.tenant());
    let mut query = instances::locked(tx)
        .filter(job::Entity::is_of(tx.tenant()))
        .filter(job::Column::Id.eq(id))
        .filter(job::Column::State.eq(JobState::Queued))
        .filter(Expr::exists(holds.lock(LockType::Share).to_owned()));
    QueryTrait::query(&mut query).inner_join(job::Entity, of_instance());
    let stored = instances::read_one(tx, query).await?;
    if stored.is_some() {
        let done = job::Entity::update_of(tx)
            .col_expr(job::Column::State, Expr::value(JobState::Done))
            .col_expr(job::Column::EndedAt, Expr::value(at))
            .filter(job::Column::Id.eq(id));
        tx.pending.execute(Statement::Update(done.into_query()));
    }
    Ok(stored)
}

/// Withdraws at once what an instance has queued, also where the insert is deferred.
pub async fn withdraw(tx: &Tx, instance: Uuid, at: i64) -> Result<(), StoreError> {
    tx.pending.withdraw_jobs(instance, at);
    job::Entity::update_of(tx)
        .col_expr(job::Column::State, Expr::value(JobState::Withdrawn))
        .col_expr(job::Column::EndedAt, Expr::value(at))
        .filter(job::Column::Instance.eq(instance))
        .filter(job::Column::State.eq(JobState::Queued))
        .exec(tx.connection())
        .await?;
    Ok(())
}
