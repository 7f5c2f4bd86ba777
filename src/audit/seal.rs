//! The chain: each seal is the SHA-256 of the seal before and the row it covers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::head::{Head, Heads};
use crate::clock::Clock;
use crate::random;
use crate::store::audits::{AuditRecord, ChainEnd};
use crate::store::{Access, Store, StoreError, Tx, audits};

/// How many rows one transaction seals at most.
const BATCH: u64 = 500;
/// How often the sealer looks for rows.
const INTERVAL: Duration = Duration::from_millis(900);
/// How often a head is exported, when the chain has grown.
const HEAD_INTERVAL: Duration = Duration::from_secs(60);
/// When it is tried again where it could not be exported: a log on the same full disk would grow by each try.
const HEAD_RETRY: Duration = Duration::from_secs(10);
/// How long a head may take to be written.
const EXPORT_LIMIT: Duration = Duration::from_secs(5);
/// Rows without a head after them for longer are reported: one is exported a minute.
const UNEXPORTED_LIMIT_MS: i64 = 10 * 60_000;
/// Rows that are unsealed for longer are reported.
const UNSEALED_LIMIT_MS: i64 = 60_000;

/// Chains committed rows and exports signed heads.
pub struct Sealer {
    store: Store,
    clock: Arc<dyn Clock>,
    heads: Option<Arc<Heads>>,
    /// Held while a head is written.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Sealer {
    pub fn new(store: Store, clock: Arc<dyn Clock>, heads: Option<Heads>) -> Self {
        Self { store, clock, heads: heads.map(Arc::new), writing: Arc::default() }
    }

    /// Seals until told to stop, and once more then.
    pub async fn run(self, stop: CancellationToken) {
        // By a clock that nobody sets: one that was set back by a year would keep heads back for as long.
        let (mut exported, mut due) = (0, Instant::now());
        loop {
            let stopped = tokio::time::timeout(INTERVAL, stop.cancelled()).await.is_ok();
            if let Err(error) = self.seal_all().await {
                tracing::error!(%error, "audit rows could not be sealed");
            }
            if stopped || Instant::now() >= due {
                match self.export(exported).await {
                    Ok(sequence) => (exported, due) = (sequence, Instant::now() + HEAD_INTERVAL),
                    Err(error) => {
                        tracing::error!(%error, "the head of the audit chain could not be exported");
                        due = Instant::now() + HEAD_RETRY;
                    }
                }
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
            let sealed = self
                .store
                .write(move |tx| async move {
                    // Another node seals now: it does this one's rows too.
                    let alone = tx.try_lock("audit-sealer").await?;
                    if alone {
                        seal_batch(&tx, at).await?;
                    }
                    Ok::<_, StoreError>(alone)
                })
                .await?;
            if !sealed {
                break;
            }
        }
        Ok(())
    }

    /// Exports the head if it is beyond `after`; gives its sequence number.
    ///
    /// # Errors
    /// The database or the file.
    pub async fn export(&self, after: i64) -> anyhow::Result<i64> {
        let Some(heads) = &self.heads else { return Ok(after) };
        match audits::last_seal(self.store.read()).await? {
            Some(seal) if seal.sequence > after => {
                let (heads, tenant) = (heads.clone(), self.store.read().tenant().to_owned());
                let (sequence, at) = (seal.sequence, self.clock.now_ms());
                // The file may lie on a disk that hangs: what is written goes on by itself then, and nothing else begins until it is done.
                let Ok(writing) = self.writing.clone().try_lock_owned() else {
                    anyhow::bail!("the head before it is still being written");
                };
                let appended = tokio::task::spawn_blocking(move || {
                    let _writing = writing;
                    heads.append(&tenant, &seal, at)
                });
                tokio::time::timeout(EXPORT_LIMIT, appended)
                    .await
                    .context("the file of heads does not answer")???;
                Ok(sequence)
            }
            _ => Ok(after),
        }
    }
}

/// Seals what is committed.
async fn seal_batch(tx: &Tx, at: i64) -> Result<(), StoreError> {
    let mut rows = audits::unsealed(tx, BATCH).await?;
    let mut end = ChainEnd::find(tx).await?;
    let seals = end.seal(tx.tenant(), &mut rows, |_| at);
    // Another sealer may have been here in between.
    if seals.is_empty() { Ok(()) } else { audits::write_seals(tx, seals, end).await }
}

/// What the chain covers of the part that may tell of a person.
pub(super) fn personal(salt: &str, actor: Option<&str>, address: Option<&str>, detail: &Value) -> String {
    random::digest(json!([salt, actor, address, detail]).to_string().as_bytes())
}

/// Whether the personal part is what was written, or was erased as a whole.
fn is_as_written(row: &AuditRecord) -> bool {
    match (&row.salt, &row.detail) {
        (Some(salt), Some(detail)) => {
            personal(salt, row.actor.as_deref(), row.address.as_deref(), detail) == row.personal
        }
        (None, None) => row.actor.is_none() && row.address.is_none(),
        _ => false,
    }
}

/// How many records a record says were erased.
fn declared_by(row: &AuditRecord) -> u64 {
    let records = (row.event == PERSON_ERASED).then(|| row.detail.as_ref()?.get("records")?.as_u64()).flatten();
    records.unwrap_or_default()
}

/// The name of [`super::event::Event::PersonErased`].
const PERSON_ERASED: &str = "person-erased";

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the sequence jumps from {after} to {found}: a row or a seal was removed")]
    Gap { after: i64, found: i64 },
    #[error("the row of number {sequence} is missing")]
    Missing { sequence: i64 },
    #[error("the row of number {sequence} or its place in the order was changed")]
    Changed { sequence: i64 },
    #[error("the chain ends before number {sequence}, or was made anew: an exported head says otherwise")]
    Head { sequence: i64 },
    #[error(
        "{erased} records are without what they told of a person, and {declared} were erased by the command for it"
    )]
    Erased { erased: u64, declared: u64 },
    #[error(
        "nothing after number {after} has an exported head, and some of it is over ten minutes old: the file of heads was cut, or the portal was \
         ended by force; it exports one when it runs"
    )]
    NoHead { after: i64 },
    #[error("{count} rows have not been sealed for over a minute")]
    Unsealed { count: usize },
}

/// What the chain is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Number and hash of the last seal.
    pub head: Option<(i64, String)>,
    /// Records whose personal part was erased.
    pub erased: u64,
    pub problems: Vec<Problem>,
}

/// The greatest number up to which all heads are of this chain.
///
/// # Errors
/// [`StoreError`] when the database cannot be read.
pub async fn agreement(access: &impl Access, heads: &[Head]) -> Result<i64, StoreError> {
    let mut first_other = i64::MAX;
    for head in heads {
        if !is_of_chain(access, head).await? {
            first_other = first_other.min(head.sequence);
        }
    }
    Ok(first_other - 1)
}

async fn is_of_chain(access: &impl Access, head: &Head) -> Result<bool, StoreError> {
    let seal = audits::seal_of(access, head.sequence).await?;
    Ok(seal.is_some_and(|seal| seal.hash == head.hash))
}

/// Follows the whole chain of the tenant up to exported heads and beyond; `None` where none are exported.
///
/// # Errors
/// [`StoreError`] when the database cannot be read.
pub async fn verify(access: &impl Access, heads: Option<&[Head]>, now: i64) -> Result<Chain, StoreError> {
    let mut chain = Chain::default();
    let mut declared = 0;
    let mut last_head = heads.map(|heads| heads.last().map_or(0, |head| head.sequence));
    loop {
        let after = chain.head.as_ref().map_or(0, |(sequence, _)| *sequence);
        let links = audits::chain(access, after, BATCH).await?;
        if links.is_empty() {
            break;
        }
        for (seal, row) in links {
            let is_late = row.as_ref().is_some_and(|row| row.at < now - UNEXPORTED_LIMIT_MS);
            if last_head.is_some_and(|last| seal.sequence > last) && is_late {
                chain.problems.push(Problem::NoHead { after: last_head.take().unwrap_or_default() });
            }
            let (number, before) = chain.head.as_ref().map_or((0, ""), |(number, hash)| (*number, hash.as_str()));
            if seal.sequence != number + 1 {
                chain.problems.push(Problem::Gap { after: number, found: seal.sequence });
            }
            match row {
                None => chain.problems.push(Problem::Missing { sequence: seal.sequence }),
                Some(row)
                    if audits::link(access.tenant(), before, seal.sequence, &row) != seal.hash
                        || row.sequence != Some(seal.sequence)
                        || !is_as_written(&row) =>
                {
                    chain.problems.push(Problem::Changed { sequence: seal.sequence });
                }
                Some(row) => {
                    chain.erased += u64::from(row.salt.is_none());
                    declared += declared_by(&row);
                }
            }
            chain.head = Some((seal.sequence, seal.hash));
        }
    }
    for head in heads.unwrap_or_default() {
        if !is_of_chain(access, head).await? {
            chain.problems.push(Problem::Head { sequence: head.sequence });
        }
    }
    let unsealed = audits::unsealed(access, BATCH).await?;
    // What is erased is sealed before; that it was is perhaps not yet.
    declared += unsealed.iter().map(declared_by).sum::<u64>();
    if chain.erased != declared {
        chain.problems.push(Problem::Erased { erased: chain.erased, declared });
    }
    let late = unsealed.iter().filter(|row| row.at < now - UNSEALED_LIMIT_MS).count();
    if late > 0 {
        chain.problems.push(Problem::Unsealed { count: late });
    }
    Ok(chain)
}
