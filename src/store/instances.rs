//! Instances, their history, and what they hold.

use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, Select, TryInsertResult,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Query},
};
use sealwright_workflow::instance::{Instance, Person, Status, Timer};
use uuid::Uuid;

use super::entities::{history, hold, instance, task};
use super::journal::Statement;
use super::{Access, StoreError, Tx, waits};

pub use super::entities::history::Model as HistoryRow;

/// An instance with what the database adds to it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub instance: Instance,
    pub root: Uuid,
    pub revision: i64,
    pub started_at: i64,
    pub changed_at: i64,
    pub ended_at: Option<i64>,
}

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

/// The columns say whose it is, and the document who it was when it was written last: people are renamed.
fn read(row: instance::Model) -> Result<Stored, StoreError> {
    let mut instance: Instance = serde_json::from_value(row.document)
        .map_err(|error| StoreError::Inconsistent { table: "instance", why: error.to_string() })?;
    instance.owner = Person::new(row.owner);
    instance.requester = Person::new(row.requester);
    Ok(Stored {
        instance,
        root: row.root,
        revision: row.revision,
        started_at: row.started_at,
        changed_at: row.changed_at,
        ended_at: row.ended_at,
    })
}

fn document(instance: &Instance) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(instance)
        .map_err(|error| StoreError::Inconsistent { table: "instance", why: error.to_string() })
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What an instance holds that a person has one of at a time; the key is the login.
pub const OWNER: &str = "owner";

/// Statuses of what has not ended.
const OPEN: [&str; 2] = [Status::Running.as_str(), Status::Stuck.as_str()];

fn model(tx: &Tx, stored: &Stored) -> Result<instance::Model, StoreError> {
    let instance = &stored.instance;
    Ok(instance::Model {
        tenant: tx.tenant().to_owned(),
        id: instance.id,
        workflow: instance.workflow.clone(),
        version: i64::from(instance.version),
        root: stored.root,
        parent: instance.parent.as_ref().map(|parent| parent.id),
        owner: instance.owner.login.clone(),
        requester: instance.requester.login.clone(),
        role: instance.role.clone(),
        state: instance.state.clone(),
        step: number(instance.step),
        status: instance.status.as_str().to_owned(),
        revision: stored.revision,
        claimed_by: instance.claimed_by.as_ref().map(|person| person.login.clone()),
        document: document(instance)?,
        started_at: stored.started_at,
        changed_at: stored.changed_at,
        ended_at: stored.ended_at,
    })
}

/// Adds instances that are new, or have moved on since they were read and locked, to what the transaction writes at its end; it fails with
/// [`StoreError::Conflict`] when somebody else has moved one of them on as far.
pub fn write(tx: &Tx, changed: Vec<Stored>) -> Result<(), StoreError> {
    let rows = changed.iter().map(|stored| model(tx, stored)).collect::<Result<_, _>>()?;
    tx.journal.add_instances(rows);
    Ok(())
}

/// What becomes of an instance that is there: it moves on.
pub(super) fn moved_on() -> OnConflict {
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

/// Reads and locks one instance for a step.
pub async fn lock(tx: &Tx, id: Uuid) -> Result<Option<Stored>, StoreError> {
    read_one(tx, locked(tx).filter(instance::Column::Id.eq(id))).await
}

/// The query for instances that are locked as they are read, with what is joined to them.
pub(super) fn locked(tx: &Tx) -> Select<instance::Entity> {
    instance::Entity::find().filter(instance::Column::Tenant.eq(tx.tenant())).lock(LockType::Update)
}

pub(super) async fn read_one(
    access: &impl Access,
    query: Select<instance::Entity>,
) -> Result<Option<Stored>, StoreError> {
    query.one(access.connection()).await?.map(read).transpose()
}

/// Reads and locks one instance, unless another transaction has it.
pub async fn lock_if_free(tx: &Tx, id: Uuid) -> Result<Option<Stored>, StoreError> {
    let query = instance::Entity::find_by_id(id)
        .filter(instance::Column::Tenant.eq(tx.tenant()))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    read_one(tx, query).await
}

pub async fn find(access: &impl Access, id: Uuid) -> Result<Option<Stored>, StoreError> {
    read_one(access, instance::Entity::find_by_id(id).filter(instance::Column::Tenant.eq(access.tenant()))).await
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
        if !super::is_storable(workflow) {
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
pub(super) fn outline_of(access: &impl Access, root: Uuid) -> Select<instance::Entity> {
    instance::Entity::find()
        .select_only()
        .columns(Listed::COLUMNS)
        .filter(instance::Column::Tenant.eq(access.tenant()))
        .filter(instance::Column::Root.eq(root))
        .order_by_asc(instance::Column::StartedAt)
        .order_by_asc(instance::Column::Id)
}

/// The whole tree that an instance belongs to, oldest first; empty when there is no such instance. And until when that instance stays in its state,
/// where that has an end.
pub async fn tree(access: &impl Access, id: Uuid) -> Result<(Vec<Stored>, Option<i64>), StoreError> {
    let mut root = Query::select();
    root.column(instance::Column::Root).from(instance::Entity).and_where(instance::Column::Id.eq(id));
    let due = waits::due_of(access.tenant(), id, Timer::StateDeadline.as_str());
    let rows = instance::Entity::find()
        .column_as(Expr::SubQuery(None, Box::new(due.into())), DEADLINE)
        .filter(instance::Column::Tenant.eq(access.tenant()))
        .filter(Expr::col(instance::Column::Root).eq(root))
        .order_by_asc(instance::Column::StartedAt)
        .order_by_asc(instance::Column::Id)
        .limit(1000)
        .into_model::<Part>()
        .all(access.connection())
        .await?;
    let deadline = rows.first().and_then(|part| part.deadline);
    let tree = rows.into_iter().map(|part| read(part.instance)).collect::<Result<_, _>>()?;
    Ok((tree, deadline))
}

const DEADLINE: &str = "deadline";

struct Part {
    instance: instance::Model,
    deadline: Option<i64>,
}

impl FromQueryResult for Part {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let deadline = row.try_get(prefix, DEADLINE)?;
        Ok(Self { instance: instance::Model::from_query_result(row, prefix)?, deadline })
    }
}

/// Children that have not ended, of one parent.
pub async fn open_children(tx: &Tx, parent: Uuid) -> Result<Vec<Uuid>, StoreError> {
    let rows = instance::Entity::find()
        .select_only()
        .column(instance::Column::Id)
        .filter(instance::Column::Tenant.eq(tx.tenant()))
        .filter(instance::Column::Parent.eq(parent))
        .filter(instance::Column::Status.is_in(OPEN))
        .into_tuple::<Uuid>()
        .all(tx.connection())
        .await?;
    Ok(rows)
}

/// Adds a row to what the transaction writes at its end.
pub fn add_history(tx: &Tx, row: HistoryRow) {
    tx.journal.add_history(row);
}

/// What happened to these instances, each in its order.
pub async fn histories(access: &impl Access, instances: Vec<Uuid>) -> Result<Vec<HistoryRow>, StoreError> {
    let rows = history::Entity::find()
        .filter(history::Column::Tenant.eq(access.tenant()))
        .filter(history::Column::Instance.is_in(instances))
        .order_by_asc(history::Column::Revision)
        .limit(10_000)
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// Holds `key` for an instance; gives the instance that holds it already, if another one does.
pub async fn hold(tx: &Tx, what: &str, key: &str, instance: Uuid) -> Result<Option<Uuid>, StoreError> {
    loop {
        let row = hold::Model { tenant: tx.tenant().to_owned(), what: what.to_owned(), key: key.to_owned(), instance };
        let inserted = hold::Entity::insert(row.into_active_model())
            .on_conflict_do_nothing_on([hold::Column::Tenant, hold::Column::What, hold::Column::Key])
            .exec_without_returning(tx.connection())
            .await?;
        if matches!(inserted, TryInsertResult::Inserted(1)) {
            return Ok(None);
        }
        // Whoever held it may have let go meanwhile: then it is to be taken still.
        if let Some(holder) = holder(tx, what, key).await? {
            return Ok((holder != instance).then_some(holder));
        }
    }
}

/// Gives what was begun by and for a login to another one of the same person, and what they hold by that name. Gives how many changed hands.
pub async fn follow_login(tx: &Tx, former: &str, login: &str) -> Result<u64, StoreError> {
    let followed = |column: instance::Column| Expr::case(column.eq(former), login).finally(Expr::col(column));
    let changed = instance::Entity::update_many()
        .col_expr(instance::Column::Owner, followed(instance::Column::Owner).into())
        .col_expr(instance::Column::Requester, followed(instance::Column::Requester).into())
        .filter(instance::Column::Tenant.eq(tx.tenant()))
        .filter(instance::Column::Owner.eq(former).or(instance::Column::Requester.eq(former)))
        .exec(tx.connection())
        .await?;
    let held = hold::Entity::find()
        .filter(hold::Column::Tenant.eq(tx.tenant()))
        .filter(hold::Column::What.eq(OWNER))
        .filter(hold::Column::Key.eq(former))
        .one(tx.connection())
        .await?;
    if let Some(held) = held {
        hold::Entity::delete_by_id((held.tenant, held.what, held.key)).exec(tx.connection()).await?;
        // What was begun under the new login meanwhile stays what a start leads to.
        hold(tx, OWNER, login, held.instance).await?;
    }
    Ok(changed.rows_affected)
}

/// Who holds `key`.
pub async fn holder(access: &impl Access, what: &str, key: &str) -> Result<Option<Uuid>, StoreError> {
    let found = hold::Entity::find_by_id((access.tenant().to_owned(), what.to_owned(), key.to_owned()))
        .one(access.connection())
        .await?;
    Ok(found.map(|row| row.instance))
}

/// Has what an instance holds released at the end of the transaction.
pub fn release_holds(tx: &Tx, instance: Uuid) {
    let released = hold::Entity::delete_many()
        .filter(hold::Column::Tenant.eq(tx.tenant()))
        .filter(hold::Column::Instance.eq(instance));
    tx.journal.add(Statement::Delete(released.into_query()));
}
