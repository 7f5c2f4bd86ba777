//! Lists of instances, without their documents.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, DbErr, FromQueryResult, QueryFilter, QueryOrder, QueryResult, QuerySelect, Select,
};
use sealwright_workflow::instance::Status;
use uuid::Uuid;

use super::OPEN;
use crate::store::database::tables::{instance, task};
use crate::store::database::{OfTenant, UnknownValue};
use crate::store::{Access, StoreError, is_storable};

/// An instance as lists know it: without its document, which is the larger part.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: Uuid,
    pub workflow: String,
    pub version: u32,
    pub parent: Option<Uuid>,
    pub owner: String,
    pub requester: String,
    pub role: String,
    pub state: String,
    pub step: u64,
    pub status: Status,
    pub revision: i64,
    pub claimed_by: Option<String>,
    pub started_at: i64,
    pub changed_at: i64,
    pub ended_at: Option<i64>,
}

impl Listed {
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    const COLUMNS: [instance::Column; 15] = [
        instance::Column::Id,
        instance::Column::Workflow,
        instance::Column::Version,
        instance::Column::Parent,
        instance::Column::Owner,
        instance::Column::Requester,
        instance::Column::Role,
        instance::Column::State,
        instance::Column::Step,
        instance::Column::Status,
        instance::Column::Revision,
        instance::Column::ClaimedBy,
        instance::Column::StartedAt,
        instance::Column::ChangedAt,
        instance::Column::EndedAt,
    ];
}

impl FromQueryResult for Listed {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let status: String = row.try_get(prefix, "status")?;
        Ok(Self {
            id: row.try_get(prefix, "id")?,
            workflow: row.try_get(prefix, "workflow")?,
            version: unsigned(row.try_get(prefix, "version")?)?,
            parent: row.try_get(prefix, "parent")?,
            owner: row.try_get(prefix, "owner")?,
            requester: row.try_get(prefix, "requester")?,
            role: row.try_get(prefix, "role")?,
            state: row.try_get(prefix, "state")?,
            step: unsigned(row.try_get(prefix, "step")?)?,
            status: read_status(status)?,
            revision: row.try_get(prefix, "revision")?,
            claimed_by: row.try_get(prefix, "claimed_by")?,
            started_at: row.try_get(prefix, "started_at")?,
            changed_at: row.try_get(prefix, "changed_at")?,
            ended_at: row.try_get(prefix, "ended_at")?,
        })
    }
}

/// The status of a word: the language owns the enumeration, so the column's type is text.
fn read_status(word: String) -> Result<Status, DbErr> {
    let status = Status::ALL.into_iter().find(|status| status.as_str() == word);
    status.ok_or_else(|| UnknownValue { table: "instance", value: word }.into_db_err())
}

fn unsigned<T: TryFrom<i64>>(number: i64) -> Result<T, DbErr> {
    T::try_from(number).map_err(|_| UnknownValue { table: "instance", value: number.to_string() }.into_db_err())
}

/// Which instances a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    pub owner: Option<String>,
    pub workflow: Option<String>,
    pub only_open: bool,
    pub only_roots: bool,
    pub only_stuck: bool,
    /// Only what asks somebody something; whether that is the caller is known by the definition.
    pub only_questions: bool,
    /// Only questions that wait for this role, the oldest first.
    pub task_of: Option<String>,
    /// Only what somebody may see.
    pub visible_to: Option<VisibleTo>,
}

/// The instances that a caller may see: their own, and whole workflows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VisibleTo {
    pub login: String,
    pub workflows: Vec<String>,
}

/// The newest first, at most `limit`; of tasks the oldest first.
pub async fn list(access: &impl Access, filter: &Filter, limit: u64) -> Result<Vec<Listed>, StoreError> {
    let mut query = instance::Entity::find_of(access);
    if let Some(owner) = &filter.owner {
        query = query.filter(instance::Column::Owner.eq(owner));
    }
    if let Some(workflow) = &filter.workflow {
        if !is_storable(workflow) {
            return Ok(Vec::new());
        }
        query = query.filter(instance::Column::Workflow.eq(workflow));
    }
    if filter.only_open {
        query = query.filter(instance::Column::Status.is_in(OPEN.map(Status::as_str)));
    }
    if filter.only_stuck {
        query = query.filter(instance::Column::Status.eq(Status::Stuck.as_str()));
    }
    if filter.only_questions {
        query = query.filter(Expr::cust("document ->> 'waiting'").eq("person"));
    }
    if let Some(VisibleTo { login, workflows }) = &filter.visible_to {
        let own = Condition::any().add(instance::Column::Owner.eq(login)).add(instance::Column::Requester.eq(login));
        query = query.filter(match workflows.is_empty() {
            true => own,
            false => own.add(instance::Column::Workflow.is_in(workflows)),
        });
    }
    if filter.only_roots {
        query = query.filter(instance::Column::Parent.is_null());
    }
    query = match &filter.task_of {
        None => query.order_by_desc(instance::Column::StartedAt).order_by_desc(instance::Column::Id),
        Some(role) => {
            let mut waiting = Query::select();
            waiting.column(task::Column::Instance).from(task::Entity);
            waiting.and_where(task::Entity::is_of(access.tenant())).and_where(task::Column::Role.eq(role));
            query
                .filter(instance::Column::Id.in_subquery(waiting))
                .order_by_asc(instance::Column::StartedAt)
                .order_by_asc(instance::Column::Id)
        }
    };
    let query = query.limit(limit).select_only().columns(Listed::COLUMNS).into_model::<Listed>();
    Ok(query.all(access.connection()).await?)
}

/// What instances are stuck for, by the class of the failure.
pub async fn stuck_for(access: &impl Access, ids: Vec<Uuid>) -> Result<Vec<(Uuid, String)>, StoreError> {
    let found = instance::Entity::find_of(access)
        .select_only()
        .column(instance::Column::Id)
        .column_as(Expr::cust("document -> 'waiting' -> 'operator' ->> 'class'"), "class")
        .filter(instance::Column::Status.eq(Status::Stuck.as_str()))
        .filter(instance::Column::Id.is_in(ids))
        .into_tuple::<(Uuid, Option<String>)>()
        .all(access.connection())
        .await?;
    Ok(found.into_iter().filter_map(|(id, class)| Some((id, class?))).collect())
}

/// How many instances are open, by status.
pub async fn count_open(access: &impl Access) -> Result<Vec<(Status, i64)>, StoreError> {
    let found = instance::Entity::find_of(access)
        .select_only()
        .column(instance::Column::Status)
        .column_as(instance::Column::Id.count(), "count")
        .filter(instance::Column::Status.is_in(OPEN.map(Status::as_str)))
        .group_by(instance::Column::Status)
        .into_tuple::<(String, i64)>()
        .all(access.connection())
        .await?;
    // A status without instances is reported too.
    let count = |status: Status| found.iter().find(|(of, _)| of == status.as_str()).map_or(0, |(_, count)| *count);
    Ok(OPEN.map(|status| (status, count(status))).to_vec())
}

/// The whole tree of a root as lists know it, oldest first.
pub async fn outline(access: &impl Access, root: Uuid) -> Result<Vec<Listed>, StoreError> {
    Ok(outline_of(access, root).into_model::<Listed>().all(access.connection()).await?)
}

/// The query for the outline of a tree, which is as large as its workflows make it: with a limit PostgreSQL would plan it anew each time.
pub(in crate::store) fn outline_of(access: &impl Access, root: Uuid) -> Select<instance::Entity> {
    instance::Entity::find_of(access)
        .select_only()
        .columns(Listed::COLUMNS)
        .filter(instance::Column::Root.eq(root))
        .order_by_asc(instance::Column::StartedAt)
        .order_by_asc(instance::Column::Id)
}
