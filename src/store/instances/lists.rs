//! Lists of instances, without their documents.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select};
use sealwright_workflow::instance::Status;
use uuid::Uuid;

use super::OPEN;
use crate::store::entities::{instance, task};
use crate::store::{Access, StoreError, is_storable};

/// An instance as lists know it: without its document, which is the larger part.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Listed {
    pub id: Uuid,
    pub workflow: String,
    pub version: i64,
    pub parent: Option<Uuid>,
    pub owner: String,
    pub requester: String,
    pub role: String,
    pub state: String,
    pub step: i64,
    pub status: String,
    pub revision: i64,
    pub claimed_by: Option<String>,
    pub started_at: i64,
    pub changed_at: i64,
    pub ended_at: Option<i64>,
}

impl Listed {
    pub fn version(&self) -> u32 {
        u32::try_from(self.version).unwrap_or_default()
    }

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

/// What somebody may see: their own, and whole workflows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VisibleTo {
    pub login: String,
    pub workflows: Vec<String>,
}

/// The newest first, at most `limit`; of tasks the oldest first.
pub async fn list(access: &impl Access, filter: &Filter, limit: u64) -> Result<Vec<Listed>, StoreError> {
    let mut query = instance::Entity::find().filter(instance::Column::Tenant.eq(access.tenant()));
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
        query = query.filter(instance::Column::Status.is_in(OPEN));
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
            waiting.and_where(task::Column::Tenant.eq(access.tenant())).and_where(task::Column::Role.eq(role));
            query
                .filter(instance::Column::Id.in_subquery(waiting))
                .order_by_asc(instance::Column::StartedAt)
                .order_by_asc(instance::Column::Id)
        }
    };
    let query = query.limit(limit).select_only().columns(Listed::COLUMNS).into_model::<Listed>();
    Ok(query.all(access.connection()).await?)
}

/// How many instances are open, by status.
pub async fn count_open(access: &impl Access) -> Result<Vec<(String, i64)>, StoreError> {
    let found = instance::Entity::find()
        .select_only()
        .column(instance::Column::Status)
        .column_as(instance::Column::Id.count(), "count")
        .filter(instance::Column::Tenant.eq(access.tenant()))
        .filter(instance::Column::Status.is_in(OPEN))
        .group_by(instance::Column::Status)
        .into_tuple::<(String, i64)>()
        .all(access.connection())
        .await?;
    // What there is none of is told too.
    let count = |status: &str| found.iter().find(|(of, _)| of == status).map_or(0, |(_, count)| *count);
    Ok(OPEN.map(|status| (status.to_owned(), count(status))).to_vec())
}

/// The whole tree of a root as lists know it, oldest first.
pub async fn outline(access: &impl Access, root: Uuid) -> Result<Vec<Listed>, StoreError> {
    Ok(outline_of(access, root).into_model::<Listed>().all(access.connection()).await?)
}

/// The query for the outline of a tree, which is as large as its workflows make it: with a limit PostgreSQL would plan it anew each time.
pub(in crate::store) fn outline_of(access: &impl Access, root: Uuid) -> Select<instance::Entity> {
    instance::Entity::find()
        .select_only()
        .columns(Listed::COLUMNS)
        .filter(instance::Column::Tenant.eq(access.tenant()))
        .filter(instance::Column::Root.eq(root))
        .order_by_asc(instance::Column::StartedAt)
        .order_by_asc(instance::Column::Id)
}
