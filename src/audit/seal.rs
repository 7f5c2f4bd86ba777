//! The chain: each seal is the SHA-256 of the seal before and the row it covers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::random;
use crate::store::audits::{AuditRow, SealRow};
use crate::store::{Access, Store, StoreError, audits};

/// How many rows one transaction seals at most.
const BATCH: u64 = 500;
/// How often the sealer looks for rows.
const INTERVAL: Duration = Duration::from_millis(900);
/// Rows that are unsealed for longer are reported.
const UNSEALED_LIMIT_MS: i64 = 60_000;

/// Chains committed rows.
pub struct Sealer {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Sealer {
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Seals until told to stop, and once more then.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let stopped = tokio::time::timeout(INTERVAL, stop.cancelled()).await.is_ok();
            if let Err(error) = self.seal_all().await {
                tracing::error!(%error, "audit rows could not be sealed");
            }
            if stopped {
                return;
            }
        }
    }

    /// Seals everything that is committed now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn seal_all(&self) -> Result<(), StoreError> {
        // Looked at first, so that an idle portal writes nothing.
        while !audits::unsealed(self.store.read(), 1).await?.is_empty() {
            let at = self.clock.now_ms();
            self.store.write(move |tx| async move { seal_batch(&tx, at).await }).await?;
        }
        Ok(())
    }
}

async fn seal_batch(tx: &crate::store::Tx, at: i64) -> Result<(), StoreError> {
    let rows = audits::unsealed(tx, BATCH).await?;
    let last = audits::last_seal(tx).await?;
    let (mut sequence, mut before) = last.map_or((0, String::new()), |seal| (seal.sequence, seal.hash));
    for row in rows {
        sequence += 1;
        let hash = link(&before, sequence, &row);
        let seal =
            SealRow { tenant: tx.tenant().to_owned(), sequence, audit: row.id, hash: hash.clone(), sealed_at: at };
        audits::seal(tx, seal).await?;
        before = hash;
    }
    Ok(())
}

/// The hash that covers a row, its place and everything before it.
fn link(before: &str, sequence: i64, row: &AuditRow) -> String {
    let covered = json!([
        before,
        sequence,
        row.tenant,
        row.id,
        row.at,
        row.event,
        row.actor,
        row.role,
        row.instance,
        row.peer,
        row.request,
        row.detail
    ]);
    random::digest(covered.to_string().as_bytes())
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the sequence jumps from {after} to {found}: a row or a seal was removed")]
    Gap { after: i64, found: i64 },
    #[error("the row of number {sequence} is missing")]
    Missing { sequence: i64 },
    #[error("the row of number {sequence} or its place in the order was changed")]
    Changed { sequence: i64 },
    #[error("{count} rows have not been sealed for over a minute")]
    Unsealed { count: usize },
}

/// Follows the whole chain of the tenant; gives the number and hash of its head, and everything that is wrong.
///
/// # Errors
/// [`StoreError`] when the database cannot be read.
pub async fn verify(access: &impl Access, now: i64) -> Result<(Option<(i64, String)>, Vec<Problem>), StoreError> {
    let mut problems = Vec::new();
    let mut last: Option<(i64, String)> = None;
    loop {
        let after = last.as_ref().map_or(0, |(sequence, _)| *sequence);
        let links = audits::chain(access, after, BATCH).await?;
        if links.is_empty() {
            break;
        }
        for (seal, row) in links {
            let (number, before) = last.as_ref().map_or((0, ""), |(number, hash)| (*number, hash.as_str()));
            if seal.sequence != number + 1 {
                problems.push(Problem::Gap { after: number, found: seal.sequence });
            }
            match row {
                None => problems.push(Problem::Missing { sequence: seal.sequence }),
                Some(row) if link(before, seal.sequence, &row) != seal.hash || row.sequence != Some(seal.sequence) => {
                    problems.push(Problem::Changed { sequence: seal.sequence });
                }
                Some(_) => {}
            }
            last = Some((seal.sequence, seal.hash));
        }
    }
    let late = audits::unsealed(access, BATCH).await?;
    let late = late.iter().filter(|row| row.at < now - UNSEALED_LIMIT_MS).count();
    if late > 0 {
        problems.push(Problem::Unsealed { count: late });
    }
    Ok((last, problems))
}
