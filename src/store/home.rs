//! Where a database is at home: the runtime that opened it. What another thread asks of PostgreSQL's connections is run there and given back, so that it
//! is woken once, and not for each of their answers: a server has a runtime for each of its threads.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use tokio::runtime;
use tokio_util::task::AbortOnDropHandle;

use super::StoreError;
use super::pool::Pool;

/// The runtime that opened a database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Home {
    runtime: runtime::Handle,
}

impl Home {
    /// The runtime of whoever calls.
    pub(super) fn here() -> Self {
        Self { runtime: runtime::Handle::current() }
    }

    /// Runs it at home. A caller from elsewhere that goes meanwhile takes nothing back: it comes to its end.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when it has panicked, or the runtime has ended.
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

    pub fn runtime(&self) -> &runtime::Handle {
        &self.runtime
    }
}

/// The connections that are read from.
#[derive(Clone, Debug)]
pub struct Reading {
    pub(super) pool: Pool,
    /// None for SQLite, whose connections have threads of their own.
    pub(super) home: Option<Home>,
}

impl Reading {
    async fn run<T, F, Fut>(&self, ask: F) -> Result<T, DbErr>
    where
        T: Send + 'static,
        F: FnOnce(Pool) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, DbErr>> + Send + 'static,
    {
        let asked = ask(self.pool.clone());
        match &self.home {
            // Whoever goes does not want to know any more.
            Some(home) if !home.is_here() => AbortOnDropHandle::new(home.runtime.spawn(asked))
                .await
                .map_err(|error| DbErr::Conn(RuntimeErr::Internal(error.to_string())))?,
            _ => asked.await,
        }
    }
}

#[async_trait]
impl ConnectionTrait for Reading {
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
