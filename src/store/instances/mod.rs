//! Instances of workflows.

mod history;
mod holds;
mod lists;

use sea_orm::{
    ColumnTrait, DbErr, FromQueryResult, QueryFilter, QueryOrder, QueryResult, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query},
};
use sealwright_workflow::instance::{Instance, Person, Status, Timer};
use uuid::Uuid;

use super::database::tables::instance::{self, InstanceRecord};
use super::database::{Fetch, OfTenant};
use super::{Access, StoreError, Tx, timers};

pub use history::{HistoryRecord, defer_history, histories};
pub use holds::{OWNER, defer_release_of_holds, hold, holder};
pub(super) use lists::outline_of;
pub use lists::{Filter, Listed, VisibleTo, count_open, list, outline, stuck_for};

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

/// The columns say whose it is, and the document who it was when it was written last: people are renamed.
fn read(row: InstanceRecord) -> Result<Stored, StoreError> {
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

/// Statuses of what has not ended.
const OPEN: [Status; 2] = [Status::Running, Status::Stuck];

fn record(stored: &Stored) -> Result<InstanceRecord, StoreError> {
    let instance = &stored.instance;
    Ok(InstanceRecord {
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

/// Defers to COMMIT the write of instances that are new, or have moved on since they were read and locked; the transaction fails with
/// [`StoreError::Conflict`] when somebody else has moved one of them on as far.
pub fn defer_write(tx: &Tx, changed: Vec<Stored>) -> Result<(), StoreError> {
    let rows = changed.iter().map(record).collect::<Result<_, _>>()?;
    tx.pending.write_instances(rows);
    Ok(())
}

/// Reads and locks one instance for a step.
pub async fn lock(tx: &Tx, id: Uuid) -> Result<Option<Stored>, StoreError> {
    read_one(tx, locked(tx).filter(instance::Column::Id.eq(id))).await
}

/// The query for instances that are locked as they are read, with what is joined to them.
pub(super) fn locked(tx: &Tx) -> Select<instance::Entity> {
    instance::Entity::find_of(tx).lock(LockType::Update)
}

pub(super) async fn read_one(
    access: &impl Access,
    query: Select<instance::Entity>,
) -> Result<Option<Stored>, StoreError> {
    query.fetch_one(access).await?.map(read).transpose()
}

/// Reads and locks one instance, unless another transaction has it.
pub async fn lock_if_free(tx: &Tx, id: Uuid) -> Result<Option<Stored>, StoreError> {
    let query = instance::Entity::find_of(tx)
        .filter(instance::Column::Id.eq(id))
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    read_one(tx, query).await
}

pub async fn find(access: &impl Access, id: Uuid) -> Result<Option<Stored>, StoreError> {
    read_one(access, instance::Entity::find_of(access).filter(instance::Column::Id.eq(id))).await
}

/// The whole tree that an instance belongs to, oldest first; empty when there is no such instance. And until when that instance stays in its state,
/// where that has an end.
pub async fn tree(access: &impl Access, id: Uuid) -> Result<(Vec<Stored>, Option<i64>), StoreError> {
    let mut root = Query::select();
    root.column(instance::Column::Root).from(instance::Entity).and_where(instance::Column::Id.eq(id));
    let due = timers::due_of(access.tenant(), id, Timer::StateDeadline.as_str());
    let rows = instance::Entity::find_of(access)
        .column_as(Expr::SubQuery(None, Box::new(due.into())), DEADLINE)
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
    instance: InstanceRecord,
    deadline: Option<i64>,
}

impl FromQueryResult for Part {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let deadline = row.try_get(prefix, DEADLINE)?;
        Ok(Self { instance: InstanceRecord::from_query_result(row, prefix)?, deadline })
    }
}

/// Children that have not ended, of one parent.
pub async fn open_children(tx: &Tx, parent: Uuid) -> Result<Vec<Uuid>, StoreError> {
    let rows = instance::Entity::find_of(tx)
        .select_only()
        .column(instance::Column::Id)
        .filter(instance::Column::Parent.eq(parent))
        .filter(instance::Column::Status.is_in(OPEN.map(Status::as_str)))
        .into_tuple::<Uuid>()
        .all(tx.connection())
        .await?;
    Ok(rows)
}

/// Gives what was begun by and for a login to another one of the same person, and what they hold by that name. Gives how many changed hands.
pub async fn follow_login(tx: &Tx, former: &str, login: &str) -> Result<u64, StoreError> {
    let followed = |column: instance::Column| Expr::case(column.eq(former), login).finally(Expr::col(column));
    let changed = instance::Entity::update_of(tx)
        .col_expr(instance::Column::Owner, followed(instance::Column::Owner).into())
        .col_expr(instance::Column::Requester, followed(instance::Column::Requester).into())
        .filter(instance::Column::Owner.eq(former).or(instance::Column::Requester.eq(former)))
        .exec(tx.connection())
        .await?;
    holds::follow_login(tx, former, login).await?;
    Ok(changed.rows_affected)
}
