//! What nothing in a transaction reads again: history and audit, the instances at the end of their steps, what they wait for then and what they hold and
//! wait for no more. It is gathered while the transaction runs and written at its end, in one statement where the database can.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::sea_query::{CommonTableExpression, DeleteStatement, InsertStatement, UpdateStatement, WithClause};
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel, QueryTrait};
use uuid::Uuid;

use super::audits::{self, AuditRow, SealRow};
use super::entities::{audit, audit_seal, history, instance, job, timer};
use super::instances::{self, HistoryRow};
use super::jobs::{self, JobRow};
use super::waits::{self, TimerRow};
use super::work::{self, WorkRow};
use super::{StoreError, Tx};

/// Rows in one statement: databases bound the values that they take at once.
const CHUNK: usize = 500;
/// So many rows of all tables go in one statement: there is a statement for each number of rows of each, which connections keep.
const FEW: usize = 24;

/// What a transaction has to write at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    rows: Arc<Mutex<Rows>>,
}

#[derive(Debug, Default)]
struct Rows {
    histories: Vec<HistoryRow>,
    audits: Vec<AuditRow>,
    instances: Vec<instance::Model>,
    jobs: Vec<JobRow>,
    /// Each with its lease in milliseconds.
    works: Vec<(WorkRow, i64)>,
    /// Activities that are done, and whose they were.
    finished: Vec<(Uuid, Uuid)>,
    /// One of a name for each instance.
    timers: Vec<TimerRow>,
    /// Instances that have no timers any more.
    disarmed: BTreeSet<Uuid>,
    others: Vec<Statement>,
}

/// A statement that may be written beside others: it reads nothing that they write, and writes no row that they do.
#[derive(Debug)]
pub(super) enum Statement {
    Insert(InsertStatement),
    Update(UpdateStatement),
    Delete(DeleteStatement),
}

impl Journal {
    pub fn add_history(&self, row: HistoryRow) {
        self.rows().histories.push(row);
    }

    pub fn add_audit(&self, row: AuditRow) {
        self.rows().audits.push(row);
    }

    pub fn add_instances(&self, rows: Vec<instance::Model>) {
        self.rows().instances.extend(rows);
    }

    pub fn add_job(&self, row: JobRow) {
        self.rows().jobs.push(row);
    }

    /// Withdraws what an instance has queued in this transaction.
    pub fn withdraw_jobs(&self, instance: Uuid, at: i64) {
        self.rows().jobs.iter_mut().filter(|job| job.instance == instance).for_each(|job| jobs::end(job, at));
    }

    pub fn add_work(&self, row: WorkRow, lease: i64) {
        self.rows().works.push((row, lease));
    }

    /// Takes away what an instance has planned in this transaction.
    pub fn remove_work(&self, instance: Uuid) {
        self.rows().works.retain(|(work, _)| work.instance != instance);
    }

    pub fn finish_work(&self, work: Uuid, instance: Uuid) {
        self.rows().finished.push((work, instance));
    }

    pub fn add(&self, statement: Statement) {
        self.rows().others.push(statement);
    }

    /// In place of an older timer of the same name.
    pub fn add_timer(&self, row: TimerRow) {
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

    /// Writes everything.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else has moved an instance on.
    pub async fn write(&self, tx: &Tx) -> Result<(), StoreError> {
        let Rows { histories, mut audits, instances, jobs, works, finished, timers, disarmed, others } =
            std::mem::take(&mut *self.rows());
        // Where no other transaction can be under way, sealing costs no commit of its own.
        let seals = if tx.is_alone() && !audits.is_empty() { sealed(tx, &mut audits).await? } else { Vec::new() };
        let changed = instances.len();
        let lists = [histories.len(), audits.len(), changed, jobs.len(), works.len(), finished.len()];
        let rows = lists.into_iter().chain([timers.len(), disarmed.len(), others.len()]);
        let are_few = rows.sum::<usize>() <= FEW;
        // An instance has one activity at a time: the next one's row finds the place empty.
        let has_next = |instance: Uuid| works.iter().any(|(next, _)| next.instance == instance);
        let (first, finished): (Vec<_>, Vec<_>) = finished.into_iter().partition(|(_, instance)| has_next(*instance));
        for (work, _) in first {
            tx.transaction.execute(&work::finished(tx, work)).await?;
        }
        let mut beside = others;
        beside.extend(finished.into_iter().map(|(work, _)| Statement::Delete(work::finished(tx, work))));
        beside.extend(inserts::<history::Entity, _>(histories).map(Statement::Insert));
        beside.extend(inserts::<audit::Entity, _>(audits).map(Statement::Insert));
        beside.extend(inserts::<audit_seal::Entity, _>(seals).map(Statement::Insert));
        beside.extend(inserts::<job::Entity, _>(jobs).map(Statement::Insert));
        for (row, lease) in works {
            beside.push(Statement::Insert(work::leased(tx, row, lease)?));
        }
        beside.extend(
            inserts::<timer::Entity, _>(timers)
                .map(|mut insert| Statement::Insert(insert.on_conflict(waits::armed_again()).to_owned())),
        );
        if !disarmed.is_empty() {
            beside.push(Statement::Delete(waits::disarmed(tx, disarmed)));
        }
        let mut written = 0;
        for mut last in inserts::<instance::Entity, _>(instances) {
            last.on_conflict(instances::moved_on());
            // SQLite knows no statement that writes into several tables.
            let before = if are_few && !tx.is_alone() { std::mem::take(&mut beside) } else { Vec::new() };
            written += together(tx, before, last).await?;
        }
        for statement in beside {
            match statement {
                Statement::Insert(insert) => tx.transaction.execute(&insert).await?,
                Statement::Update(update) => tx.transaction.execute(&update).await?,
                Statement::Delete(delete) => tx.transaction.execute(&delete).await?,
            };
        }
        if usize::try_from(written).ok() == Some(changed) { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

/// Writes all in one statement; gives how many rows the last of them has written.
async fn together(tx: &Tx, before: Vec<Statement>, last: InsertStatement) -> Result<u64, StoreError> {
    let written = if before.is_empty() {
        tx.transaction.execute(&last).await?
    } else {
        let mut with = WithClause::new();
        for (number, statement) in before.into_iter().enumerate() {
            let mut part = CommonTableExpression::new();
            part.table_name(format!("written_{number}"));
            match statement {
                Statement::Insert(insert) => part.query(insert),
                Statement::Update(update) => part.query(update),
                Statement::Delete(delete) => part.query(delete),
            };
            with.cte(part);
        }
        tx.transaction.execute(&with.query(last)).await?
    };
    Ok(written.rows_affected())
}

/// The seals of rows that follow all that is sealed.
async fn sealed(tx: &Tx, rows: &mut [AuditRow]) -> Result<Vec<SealRow>, StoreError> {
    let last = audits::last_seal(tx).await?;
    let (mut sequence, mut before) = last.map_or((0, String::new()), |seal| (seal.sequence, seal.hash));
    let mut seals = Vec::with_capacity(rows.len());
    for row in rows {
        let seal = audits::seal(&before, sequence + 1, row, row.at);
        (sequence, before) = (seal.sequence, seal.hash.clone());
        row.sequence = Some(sequence);
        seals.push(seal);
    }
    Ok(seals)
}

/// The statements that insert these rows, none for none.
fn inserts<E, M>(rows: Vec<M>) -> impl Iterator<Item = InsertStatement>
where
    E: EntityTrait<Model = M>,
    M: IntoActiveModel<E::ActiveModel>,
{
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    std::iter::from_fn(move || {
        let chunk: Vec<E::ActiveModel> = rows.by_ref().take(CHUNK).collect();
        (!chunk.is_empty()).then(|| E::insert_many(chunk).into_query())
    })
}
