//! SQLite's one writer: several calls per transaction, each in a savepoint unless it comes alone, answers after the commit.

use std::future::Future;
use std::sync::Arc;

use sea_orm::ConnectionTrait;
use tokio::sync::{mpsc, oneshot};

use super::audit_chain::ChainEnd;
use super::options::Options;
use super::pool::{Pool, Transaction};
use super::{Boxed, StoreError, Tx, WriteError};
use crate::fail_point;

/// How many calls share one transaction at most.
const BATCH: usize = 32;

/// A call: runs in the transaction or savepoint it is given; afterwards it is told whether the transaction was committed.
type Call = Box<dyn FnOnce(Tx) -> Boxed<Finish> + Send>;

/// The end of a call: whether its writes are kept, and how to answer.
struct Finish {
    keep: bool,
    answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

#[derive(Clone, Debug)]
pub(super) struct Handle {
    calls: mpsc::Sender<Call>,
}

pub(super) fn start(options: Options, tenant: Arc<str>) -> Handle {
    let (calls, receiver) = mpsc::channel(256);
    let writing = Writing { options, pool: None };
    tokio::spawn(run(writing, tenant, receiver));
    Handle { calls }
}

/// The one connection that writes. After an error of the transaction itself it is closed, and the next call opens another one: SQLite ends a
/// transaction by itself when the disk is full or broken, and whoever has not noticed takes the next one for one within it.
struct Writing {
    options: Options,
    pool: Option<Pool>,
}

impl Writing {
    fn get(&mut self) -> Result<&Pool, StoreError> {
        let pool = match self.pool.take() {
            Some(pool) => pool,
            None => Pool::new(self.options.clone(), 1)?,
        };
        Ok(self.pool.insert(pool))
    }

    fn close(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.close();
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
        let committed = match writing.get() {
            Ok(pool) => batch(pool, &tenant, first, &mut calls, &mut answers).await,
            // The call goes with its channel, and its caller is told that.
            Err(error) => Err(error),
        };
        let failed = committed.err();
        if let Some(error) = &failed {
            tracing::error!(%error, "a transaction failed; the database is opened anew");
            writing.close();
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
    pool: &Pool,
    tenant: &Arc<str>,
    first: Call,
    calls: &mut mpsc::Receiver<Call>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    let question = ChainEnd::question(tenant, pool.get_database_backend());
    let (mut transaction, row) = pool.begin_with(question).await?;
    let mut chain_end = ChainEnd::answer(row.as_ref())?;
    // Most calls come alone: the transaction is all that they need.
    if calls.is_empty() {
        let tx = Tx::alone(transaction, tenant.clone(), chain_end);
        let Ran { transaction, keep, .. } = run_in(tx, first, answers).await?;
        return finish(transaction, keep).await;
    }
    let mut next = Some(first);
    let mut kept = false;
    while let Some(call) = next {
        transaction.execute_unprepared("SAVEPOINT call").await?;
        let ran = run_in(Tx::alone(transaction, tenant.clone(), chain_end.clone()), call, answers).await?;
        transaction = ran.transaction;
        if ran.keep {
            chain_end = ran.chain_end;
        } else {
            transaction.execute_unprepared("ROLLBACK TO call").await?;
        }
        transaction.execute_unprepared("RELEASE call").await?;
        kept |= ran.keep;
        next = if answers.len() < BATCH { calls.try_recv().ok() } else { None };
    }
    finish(transaction, kept).await
}

/// Commits; a call that only looked, or failed, is no write transaction.
async fn finish(transaction: Transaction, kept: bool) -> Result<(), StoreError> {
    if kept {
        fail_point!(async "store.commit");
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(())
}

/// A transaction after a call.
struct Ran {
    transaction: Transaction,
    /// Whether the call's writes are kept; `chain_end` counts only then.
    keep: bool,
    chain_end: ChainEnd,
}

/// Runs a call, and takes its transaction back.
async fn run_in(tx: Tx, call: Call, answers: &mut Vec<Answer>) -> Result<Ran, StoreError> {
    let Finish { keep, answer } = call(tx.clone()).await;
    answers.push(answer);
    let chain_end = tx.chain_end().unwrap_or_default();
    Ok(Ran { transaction: tx.into_transaction()?, keep, chain_end })
}
