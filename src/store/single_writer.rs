//! SQLite's one writer: several calls per transaction, each in a savepoint unless it comes alone, answers after the commit.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::sync::{mpsc, oneshot};

use super::{Boxed, StoreError, Tx, WriteError};
use crate::fail_point;

/// How many calls share one transaction at most.
const BATCH: usize = 32;

/// A call: runs in the transaction or savepoint it is given; afterwards it is told whether the transaction was committed.
type Call = Box<dyn FnOnce(Tx) -> Boxed<Finish> + Send>;

/// What is left of a call once it has run: whether what it did is kept, and how to answer.
struct Finish {
    keep: bool,
    answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

#[derive(Clone, Debug)]
pub(super) struct Handle {
    calls: mpsc::Sender<Call>,
}

pub(super) fn start(connection: DatabaseConnection, path: &Path, tenant: Arc<str>) -> Handle {
    let (calls, receiver) = mpsc::channel(256);
    let writing = Writing { path: path.to_owned(), connection: Some(connection) };
    tokio::spawn(run(writing, tenant, receiver));
    Handle { calls }
}

/// The one connection that writes. After an error of the transaction itself it is closed, and the next call opens another one.
///
/// SQLite ends a transaction by itself when the disk is full or broken; the library that counts begins and commits does not notice, takes the next
/// transaction for one within it, and nothing that is written then is ever committed.
struct Writing {
    path: PathBuf,
    connection: Option<DatabaseConnection>,
}

impl Writing {
    async fn get(&mut self) -> Result<&DatabaseConnection, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => super::sqlite(&self.path, 1).await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Whoever still has it must not hold up the next one.
            let closed = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
            if !matches!(closed, Ok(Ok(()))) {
                tracing::warn!("the database's connection was not closed in order");
            }
        }
    }
}

impl Handle {
    pub(super) async fn run<T, E, F, Fut>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: WriteError,
        F: Fn(Tx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |tx| {
            Box::pin(async move {
                let result = tx.run(work).await;
                let keep = result.is_ok();
                let answer = move |committed: Result<(), StoreError>| {
                    let result = match committed {
                        Ok(()) => result,
                        // An error of the call itself stands; a success was not committed after all.
                        Err(error) => result.and(Err(E::from(error))),
                    };
                    // The caller may have gone; what was committed stays.
                    drop(answer.send(result));
                };
                Finish { keep, answer: Box::new(answer) }
            })
        });
        self.calls.send(call).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

async fn run(mut writing: Writing, tenant: Arc<str>, mut calls: mpsc::Receiver<Call>) {
    while let Some(first) = calls.recv().await {
        let mut answers = Vec::new();
        let committed = match writing.get().await {
            Ok(connection) => batch(connection, &tenant, first, &mut calls, &mut answers).await,
            // The call goes with its channel, and its caller is told that.
            Err(error) => Err(error),
        };
        let failed = committed.err();
        if let Some(error) = &failed {
            tracing::error!(%error, "a transaction failed; the database is opened anew");
            writing.close().await;
        }
        for answer in answers {
            answer(match &failed {
                None => Ok(()),
                Some(StoreError::Database(error)) => Err(StoreError::Database(error.clone())),
                Some(_) => Err(StoreError::Closed),
            });
        }
    }
}

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

async fn batch(
    connection: &DatabaseConnection,
    tenant: &Arc<str>,
    first: Call,
    calls: &mut mpsc::Receiver<Call>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    let options = TransactionOptions {
        isolation_level: None,
        access_mode: None,
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
    };
    let outer = connection.begin_with_options(options).await?;
    // Most calls come alone: the transaction is all that they need.
    if calls.is_empty() {
        return finish(run_in(Tx::new(outer, tenant.clone()), first, answers).await?).await;
    }
    let mut next = Some(first);
    let mut kept = false;
    while let Some(call) = next {
        let savepoint = outer.begin().await?;
        let (savepoint, keep) = run_in(Tx::new(savepoint, tenant.clone()), call, answers).await?;
        if keep {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
        kept |= keep;
        next = if answers.len() < BATCH { calls.try_recv().ok() } else { None };
    }
    finish((outer, kept)).await
}

/// Commits; a call that only looked, or failed, is no write transaction.
async fn finish((transaction, kept): (DatabaseTransaction, bool)) -> Result<(), StoreError> {
    if kept {
        fail_point!("store.commit");
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(())
}

/// Runs a call; gives its transaction back and whether it is to be kept.
async fn run_in(tx: Tx, call: Call, answers: &mut Vec<Answer>) -> Result<(DatabaseTransaction, bool), StoreError> {
    let Finish { keep, answer } = call(tx.clone()).await;
    answers.push(answer);
    Ok((tx.into_transaction()?, keep))
}
