//! Runs PostgreSQL I/O on the Tokio runtime that opened the pool. actix-web has one single-threaded runtime per worker, so a
//! query awaited there would wake two runtimes per packet.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use tokio::runtime;
use tokio_util::task::AbortOnDropHandle;

use super::StoreError;
use super::pool::Pool;

/// The runtime that opened a database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RuntimeHandle {
    runtime: runtime::Handle,
}

impl RuntimeHandle {
    /// The runtime of the caller.
    pub(super) fn current() -> Self {
        Self { runtime: runtime::Handle::current() }
    }

    /// Runs `work` on this runtime, to its end even if the caller on another one is dropped.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when `work` has panicked, or the runtime has ended.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.is_here() {
            return Ok(work.await);
        }
        self.runtime.spawn(work).await.map_err(|_| StoreError::Closed)
    }

    fn is_here(&self) -> bool {
        runtime::Handle::try_current().is_ok_and(|here| here.id() == self.runtime.id())
    }

    /// Tokio's handle of the runtime.
    pub fn tokio(&self) -> &runtime::Handle {
        &self.runtime
    }
}

/// The pool that is read from, pinned to its runtime.
#[derive(Clone, Debug)]
pub struct PinnedReader {
    pub(super) pool: Pool,
    /// Absent for SQLite, whose connections have threads of their own.
    pub(super) runtime: Option<RuntimeHandle>,
}

impl PinnedReader {
    async fn run<T, F, Fut>(&self, ask: F) -> Result<T, DbErr>
    where
        T: Send + 'static,
        F: FnOnce(Pool) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, DbErr>> + Send + 'static,
    {
        let asked = ask(self.pool.clone());
        match &self.runtime {
            // A caller that is dropped needs no answer: the query is aborted.
            Some(runtime) if !runtime.is_here() => AbortOnDropHandle::new(runtime.runtime.spawn(asked))
                .await
                .map_err(|error| DbErr::Conn(RuntimeErr::Internal(error.to_string())))?,
            _ => asked.await,
        }
    }
}

#[async_trait]
impl ConnectionTrait for PinnedReader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(move |pool| async move { pool.execute_raw(statement).await }).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = sql.to_owned();
        self.run(move |pool| async move { pool.execute_unprepared(&sql).await }).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(move |pool| async move { pool.query_one_raw(statement).await }).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(move |pool| async move { pool.query_all_raw(statement).await }).await
    }
}
