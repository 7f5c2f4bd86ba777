//! What nothing in a transaction reads again: history and audit, and the instances at the end of their steps. It is gathered while the transaction runs
//! and written at its end, in one statement where the database can.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::sea_query::{CommonTableExpression, InsertStatement, WithClause};
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel, QueryTrait};

use super::audits::{self, AuditRow, SealRow};
use super::entities::{audit, audit_seal, history, instance};
use super::instances::{self, HistoryRow};
use super::{Access, StoreError};

/// Rows in one statement: databases bound the values that they take at once.
const CHUNK: usize = 500;
/// So many rows of all tables go in one statement: there is a statement for each number of rows of each, which connections keep.
const FEW: usize = 24;

/// What a transaction has to append.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    rows: Arc<Mutex<Rows>>,
}

#[derive(Debug, Default)]
struct Rows {
    histories: Vec<HistoryRow>,
    audits: Vec<AuditRow>,
    instances: Vec<instance::Model>,
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

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes everything.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else has moved an instance on.
    pub async fn write(&self, access: &impl Access, is_alone: bool) -> Result<(), StoreError> {
        let Rows { histories, mut audits, instances } = std::mem::take(&mut *self.rows());
        // Where no other transaction can be under way, sealing costs no commit of its own.
        let seals = if is_alone && !audits.is_empty() { sealed(access, &mut audits).await? } else { Vec::new() };
        let changed = instances.len();
        let are_few = histories.len() + audits.len() + changed <= FEW;
        let mut appended = inserts::<history::Entity, _>(histories);
        appended.extend(inserts::<audit::Entity, _>(audits));
        appended.extend(inserts::<audit_seal::Entity, _>(seals));
        let mut written = 0;
        for mut last in inserts::<instance::Entity, _>(instances) {
            last.on_conflict(instances::moved_on());
            // SQLite knows no statement that writes into several tables.
            let before = if are_few && !is_alone { std::mem::take(&mut appended) } else { Vec::new() };
            written += together(access, before, last).await?;
        }
        for insert in appended {
            access.connection().execute(&insert).await?;
        }
        if usize::try_from(written).ok() == Some(changed) { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

/// Writes all in one statement; gives how many rows the last of them has written.
async fn together(
    access: &impl Access,
    before: Vec<InsertStatement>,
    last: InsertStatement,
) -> Result<u64, StoreError> {
    let connection = access.connection();
    let written = if before.is_empty() {
        connection.execute(&last).await?
    } else {
        let mut with = WithClause::new();
        for (number, insert) in before.into_iter().enumerate() {
            with.cte(CommonTableExpression::new().table_name(format!("written_{number}")).query(insert).to_owned());
        }
        connection.execute(&with.query(last)).await?
    };
    Ok(written.rows_affected())
}

/// The seals of rows that follow all that is sealed.
async fn sealed(access: &impl Access, rows: &mut [AuditRow]) -> Result<Vec<SealRow>, StoreError> {
    let last = audits::last_seal(access).await?;
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

fn inserts<E, M>(rows: Vec<M>) -> Vec<InsertStatement>
where
    E: EntityTrait<Model = M>,
    M: IntoActiveModel<E::ActiveModel>,
{
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    let mut inserts = Vec::new();
    loop {
        let chunk: Vec<E::ActiveModel> = rows.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return inserts;
        }
        inserts.push(E::insert_many(chunk).into_query());
    }
}
