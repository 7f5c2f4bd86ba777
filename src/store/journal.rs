//! What is only ever appended: history and audit. It is gathered while a transaction runs and written at its end, one statement a table.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{EntityTrait, IntoActiveModel};

use super::audits::{self, AuditRow, SealRow};
use super::entities::{audit, audit_seal, history};
use super::instances::HistoryRow;
use super::{Access, StoreError};

/// Rows in one statement: databases bound the values that they take at once.
const CHUNK: usize = 500;

/// What a transaction has to append.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    rows: Arc<Mutex<Rows>>,
}

#[derive(Debug, Default)]
struct Rows {
    histories: Vec<HistoryRow>,
    audits: Vec<AuditRow>,
}

impl Journal {
    pub fn add_history(&self, row: HistoryRow) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).histories.push(row);
    }

    pub fn add_audit(&self, row: AuditRow) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).audits.push(row);
    }

    /// Writes everything, in the order in which it came.
    pub async fn write(&self, access: &impl Access, is_alone: bool) -> Result<(), StoreError> {
        let Rows { histories, mut audits } =
            std::mem::take(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner));
        insert::<history::Entity, _>(access, histories).await?;
        // Where no other transaction can be under way, sealing costs no commit of its own.
        let seals = if is_alone && !audits.is_empty() { sealed(access, &mut audits).await? } else { Vec::new() };
        insert::<audit::Entity, _>(access, audits).await?;
        insert::<audit_seal::Entity, _>(access, seals).await
    }
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

async fn insert<E, M>(access: &impl Access, rows: Vec<M>) -> Result<(), StoreError>
where
    E: EntityTrait<Model = M>,
    M: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Send,
{
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    loop {
        let chunk: Vec<E::ActiveModel> = rows.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok(());
        }
        E::insert_many(chunk).exec_without_returning(access.connection()).await?;
    }
}
