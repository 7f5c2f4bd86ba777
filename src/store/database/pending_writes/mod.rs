//! Buffers the writes that a transaction never reads back and flushes them just before COMMIT: one data-modifying CTE on
//! PostgreSQL, one multi-statement text on SQLite.
//!
//! Deferred are history and audit, the instances at the end of their steps, jobs, planned activities and timers that they wait
//! for then, and what they hold and wait for no more. A function of a subject whose write is deferred says so by its name,
//! `defer_…`: until COMMIT no query sees the write, and its conflict is the transaction's. All others write at once.

mod statements;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::sea_query::{
    CommonTableExpression, DeleteStatement, InsertStatement, SubQueryStatement, UpdateStatement, Values, WithClause,
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryTrait};
use uuid::Uuid;

use super::tables::audit::AuditRecord;
use super::tables::history::HistoryRecord;
use super::tables::instance::{self, InstanceRecord};
use super::tables::job::{JobRecord, JobState};
use super::tables::timer::TimerRecord;
use super::tables::work::WorkRecord;
use super::{Access, Record, StoreError, Tx};

/// Rows in one statement: databases bound the values that they take at once.
const CHUNK: usize = 500;
/// So many rows of all tables go in one statement: there is a statement for each number of rows of each, which connections keep.
const FEW: usize = 24;

/// The deferred writes of a transaction.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct PendingWrites {
    rows: Arc<Mutex<Rows>>,
}

#[derive(Debug, Default)]
struct Rows {
    histories: Vec<HistoryRecord>,
    audits: Vec<AuditRecord>,
    instances: Vec<InstanceRecord>,
    jobs: Vec<JobRecord>,
    /// Each with its lease in milliseconds.
    works: Vec<(WorkRecord, i64)>,
    /// Activities that are done, and whose they were.
    finished: Vec<(Uuid, Uuid)>,
    /// One of a name for each instance.
    timers: Vec<TimerRecord>,
    /// Instances that have no timers any more.
    disarmed: BTreeSet<Uuid>,
    others: Vec<Statement>,
}

/// A statement that may be written beside others: it reads nothing that they write, and writes no row that they do.
#[derive(Debug)]
pub(in crate::store) enum Statement {
    Insert(InsertStatement),
    Update(UpdateStatement),
    Delete(DeleteStatement),
}

impl Statement {
    fn build(&self, backend: DbBackend) -> sea_orm::Statement {
        match self {
            Self::Insert(insert) => backend.build(insert),
            Self::Update(update) => backend.build(update),
            Self::Delete(delete) => backend.build(delete),
        }
    }
}

impl From<Statement> for SubQueryStatement {
    fn from(statement: Statement) -> Self {
        match statement {
            Statement::Insert(insert) => insert.into(),
            Statement::Update(update) => update.into(),
            Statement::Delete(delete) => delete.into(),
        }
    }
}

impl PendingWrites {
    pub fn insert_history(&self, row: HistoryRecord) {
        self.rows().histories.push(row);
    }

    pub fn insert_audit(&self, row: AuditRecord) {
        self.rows().audits.push(row);
    }

    pub fn write_instances(&self, rows: Vec<InstanceRecord>) {
        self.rows().instances.extend(rows);
    }

    pub fn insert_job(&self, row: JobRecord) {
        self.rows().jobs.push(row);
    }

    /// Withdraws what an instance has queued in this transaction.
    pub fn withdraw_jobs(&self, instance: Uuid, at: i64) {
        for job in self.rows().jobs.iter_mut().filter(|job| job.instance == instance) {
            (job.state, job.ended_at) = (JobState::Withdrawn, Some(at));
        }
    }

    pub fn insert_work(&self, row: WorkRecord, lease: i64) {
        self.rows().works.push((row, lease));
    }

    /// Drops what an instance has planned in this transaction.
    pub fn remove_work(&self, instance: Uuid) {
        self.rows().works.retain(|(work, _)| work.instance != instance);
    }

    pub fn finish_work(&self, work: Uuid, instance: Uuid) {
        self.rows().finished.push((work, instance));
    }

    /// Defers a statement that touches no row of the others.
    pub fn execute(&self, statement: Statement) {
        self.rows().others.push(statement);
    }

    /// Inserts a timer in place of an older one of the same name.
    pub fn arm(&self, row: TimerRecord) {
        let mut rows = self.rows();
        rows.timers.retain(|timer| (timer.instance, &timer.timer) != (row.instance, &row.timer));
        rows.timers.push(row);
    }

    /// Takes away all timers of an instance that has ended: it gets none after that.
    pub fn disarm(&self, instance: Uuid) {
        let mut rows = self.rows();
        rows.timers.retain(|timer| timer.instance != instance);
        rows.disarmed.insert(instance);
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes the deferred writes.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else has moved an instance on.
    pub async fn flush(&self, tx: &Tx) -> Result<(), StoreError> {
        let Rows { histories, mut audits, instances, jobs, works, finished, timers, disarmed, others } =
            std::mem::take(&mut *self.rows());
        // Sealing costs no commit of its own if no other transaction can be under way.
        let seals = match tx.chain_end() {
            Some(mut end) => {
                let seals = end.seal(tx.tenant(), &mut audits, |row| row.at);
                tx.move_chain_end(end);
                seals
            }
            None => Vec::new(),
        };
        let changed = instances.len();
        let lists = [histories.len(), audits.len(), changed, jobs.len(), works.len(), finished.len()];
        let rows = lists.into_iter().chain([timers.len(), disarmed.len(), others.len()]);
        let are_few = rows.sum::<usize>() <= FEW;
        // An instance has one activity at a time: the next one's row finds the place empty.
        let has_next = |instance: Uuid| works.iter().any(|(next, _)| next.instance == instance);
        let (first, finished): (Vec<_>, Vec<_>) = finished.into_iter().partition(|(_, instance)| has_next(*instance));
        let delete = |(work, _)| Statement::Delete(statements::delete_work(tx, work));
        let first = first.into_iter().map(delete).collect();
        let mut beside = others;
        beside.extend(finished.into_iter().map(delete));
        beside.extend(inserts(tx, histories).map(Statement::Insert));
        beside.extend(inserts(tx, audits).map(Statement::Insert));
        beside.extend(inserts(tx, seals).map(Statement::Insert));
        beside.extend(inserts(tx, jobs).map(Statement::Insert));
        for (row, lease) in works {
            beside.push(Statement::Insert(statements::insert_work(tx, row, lease)?));
        }
        beside.extend(
            inserts(tx, timers).map(|mut insert| Statement::Insert(insert.on_conflict(statements::rearm()).to_owned())),
        );
        if !disarmed.is_empty() {
            beside.push(Statement::Delete(statements::delete_timers(tx, disarmed)));
        }
        let moved: Vec<_> = inserts(tx, instances)
            .map(|mut insert| {
                insert.on_conflict(statements::move_instance_on()).returning_col(instance::Column::Id);
                Statement::Insert(insert)
            })
            .collect();
        let mut written = 0;
        for statement in combine(tx, are_few, first, beside, moved) {
            written += tx.transaction.query_all_raw(statement).await?.len();
        }
        if written == changed { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

/// Combines statements into as few as the database takes: the first ones run before the others, which are independent of each other, and
/// the last ones return a row for each row that they write.
fn combine(
    tx: &Tx,
    are_few: bool,
    first: Vec<Statement>,
    mut beside: Vec<Statement>,
    mut last: Vec<Statement>,
) -> Vec<sea_orm::Statement> {
    let backend = tx.transaction.get_database_backend();
    if are_few
        && !tx.is_alone()
        && !beside.is_empty()
        && let Some(last) = last.pop()
    {
        let mut with = WithClause::new();
        for (number, statement) in beside.drain(..).enumerate() {
            let mut part = CommonTableExpression::new();
            part.table_name(format!("written_{number}")).query(statement);
            with.cte(part);
        }
        let one = backend.build(&with.query(last));
        return first.iter().map(|statement| statement.build(backend)).chain([one]).collect();
    }
    let in_turn = first.iter().chain(&beside).chain(&last).map(|statement| statement.build(backend));
    if !(are_few && tx.is_alone()) {
        return in_turn.collect();
    }
    // SQLite knows no statement that writes into several tables, but takes several of them as one text.
    let (mut text, mut values) = (String::new(), Vec::new());
    for statement in in_turn {
        text.push_str(&statement.sql);
        text.push(';');
        values.extend(statement.values.into_iter().flat_map(|Values(values)| values));
    }
    if text.is_empty() { Vec::new() } else { vec![sea_orm::Statement::from_sql_and_values(backend, text, values)] }
}

/// The statements that insert these rows, none for none.
fn inserts<R: Record>(tx: &Tx, records: Vec<R>) -> impl Iterator<Item = InsertStatement> {
    let mut rows = records.into_iter().map(|record| record.into_row(tx.tenant()));
    std::iter::from_fn(move || {
        let chunk: Vec<_> = rows.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then(|| R::Entity::insert_many(chunk).into_query())
    })
}
