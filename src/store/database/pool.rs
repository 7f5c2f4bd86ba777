//! Connection pool, and transactions on its connections. sqlx's own pool pings a connection after each use, one more round trip
//! per query; this one pings only connections that were idle, or whose use was cancelled.

use std::time::Duration;

use async_trait::async_trait;
use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use sea_orm::{ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use tokio::runtime;
use tokio::sync::Mutex;

use super::connection::Connection;
use super::options::{Options, PATIENCE};

/// Ping connections idle for this long before they are used: a database restart takes longer than this.
const RESTED: Duration = Duration::from_millis(100);
/// Close connections idle for this long: firewalls and NAT drop idle flows without a reset.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);
/// Maximum age of a connection: closing it frees the memory of its server process.
const OLDEST: Duration = Duration::from_secs(30 * 60);
/// Timeout of a ping.
const ANSWER: Duration = Duration::from_secs(2);
/// Timeout for the end of a cancelled use: the server runs a statement until its `statement_timeout` whether or not anybody waits.
const UNWINDING: Duration = Duration::from_secs(35);

/// Opens the pool's connections.
#[derive(Debug)]
struct Opener(Options);

impl managed::Manager for Opener {
    type Type = Connection;
    type Error = DbErr;

    async fn create(&self) -> Result<Connection, DbErr> {
        self.0.open().await
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<DbErr> {
        // A file does not go away.
        if connection.is_file() {
            return Ok(());
        }
        if is_old(metrics) {
            return Err(RecycleError::message("old"));
        }
        if metrics.last_used() > RESTED {
            connection.ping().await.map_err(RecycleError::Backend)?;
        }
        Ok(())
    }
}

fn is_old(metrics: &Metrics) -> bool {
    metrics.last_used() > FORGOTTEN || metrics.age() > OLDEST
}

/// The connections to a database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool {
    connections: managed::Pool<Opener>,
}

impl Pool {
    /// # Errors
    /// [`DbErr::Conn`] when the options make none.
    pub fn new(options: Options, size: usize) -> Result<Self, DbErr> {
        let connections = managed::Pool::builder(Opener(options))
            .max_size(size)
            // The one that was used last knows the statements and has the pages.
            .queue_mode(QueueMode::Lifo)
            .runtime(deadpool::Runtime::Tokio1)
            .recycle_timeout(Some(ANSWER))
            .build()
            .map_err(internal)?;
        if connections.manager().0.backend() == DbBackend::Postgres {
            tokio::spawn(close_unused(connections.weak()));
        }
        Ok(Self { connections })
    }

    pub fn options(&self) -> &Options {
        &self.connections.manager().0
    }

    /// Opens no more; what is in use is closed when it is given back.
    pub fn close(&self) {
        self.connections.close();
    }

    async fn lease(&self, open: Open) -> Result<Lease, DbErr> {
        let timeout = DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        let connection = tokio::time::timeout(PATIENCE, self.connections.get()).await.map_err(|_| timeout)?;
        let connection = connection.map_err(|error| match error {
            PoolError::Closed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
            PoolError::Backend(error) => error,
            other => internal(other),
        })?;
        Ok(Lease { connection: Some(connection), open })
    }

    /// Begins a transaction; on SQLite one that nobody else writes beside.
    ///
    /// # Errors
    /// [`DbErr`] of the database.
    pub async fn begin(&self) -> Result<Transaction, DbErr> {
        let mut lease = self.lease(Open::Transaction).await?;
        lease.get()?.execute_unprepared(self.how_to_begin()).await?;
        Ok(self.begun(lease))
    }

    /// The same, with a question that is asked in the same breath, and the first row of its answer.
    ///
    /// # Errors
    /// As [`Pool::begin`]. PostgreSQL takes one statement at a time.
    pub async fn begin_with(&self, question: Statement) -> Result<(Transaction, Option<QueryResult>), DbErr> {
        let mut lease = self.lease(Open::Transaction).await?;
        let sql = format!("{};{}", self.how_to_begin(), question.sql);
        let row = lease.get()?.query_all(Statement { sql, ..question }).await?.into_iter().next();
        Ok((self.begun(lease), row))
    }

    fn how_to_begin(&self) -> &'static str {
        if self.get_database_backend() == DbBackend::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" }
    }

    fn begun(&self, lease: Lease) -> Transaction {
        Transaction { lease: Mutex::new(lease), backend: self.get_database_backend() }
    }
}

/// Closes idle connections that a burst has opened.
async fn close_unused(connections: managed::WeakPool<Opener>) {
    loop {
        tokio::time::sleep(FORGOTTEN / 2).await;
        let Some(connections) = connections.upgrade() else { return };
        connections.retain(|_, metrics| !is_old(&metrics));
    }
}

fn internal(error: impl std::fmt::Display) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(error.to_string()))
}

/// How a connection in use is put in order when the use is cancelled.
#[derive(Clone, Copy, Debug)]
enum Open {
    Query,
    Transaction,
}

/// A connection in use. Dropped without [`Lease::give_back`], it is put in order first, or closed.
#[derive(Debug)]
struct Lease {
    connection: Option<Object<Opener>>,
    open: Open,
}

impl Lease {
    fn get(&mut self) -> Result<&mut Connection, DbErr> {
        self.connection.as_deref_mut().ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed))
    }

    fn give_back(mut self) {
        drop(self.connection.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let (open, mut unsettled) = (self.open, Unsettled(Some(connection)));
        if unsettled.0.as_ref().is_some_and(|connection| connection.is_silent()) {
            return;
        }
        let Ok(runtime) = runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let Some(connection) = unsettled.0.as_mut() else { return };
            let put_in_order = async {
                match open {
                    Open::Query => connection.ping().await,
                    Open::Transaction => connection.execute_unprepared("ROLLBACK").await.map(drop),
                }
            };
            if matches!(tokio::time::timeout(UNWINDING, put_in_order).await, Ok(Ok(()))) {
                drop(unsettled.0.take());
            }
        });
    }
}

/// Closes its connection when dropped before it was put in order.
struct Unsettled(Option<Object<Opener>>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            tracing::warn!("a connection to the database is closed: its use was broken off");
            drop(Object::take(connection));
        }
    }
}

/// Queries outside of any transaction.
#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        self.options().backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease(Open::Query).await?;
        let result = lease.get()?.execute(statement).await?;
        lease.give_back();
        Ok(result)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease(Open::Query).await?;
        let result = lease.get()?.execute_unprepared(sql).await?;
        lease.give_back();
        Ok(result)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut lease = self.lease(Open::Query).await?;
        let row = lease.get()?.query_one(statement).await?;
        lease.give_back();
        Ok(row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut lease = self.lease(Open::Query).await?;
        let rows = lease.get()?.query_all(statement).await?;
        lease.give_back();
        Ok(rows)
    }
}

/// An open transaction; dropped, it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    lease: Mutex<Lease>,
    backend: DbBackend,
}

impl Transaction {
    /// # Errors
    /// [`DbErr`] of the database: then nobody knows yet whether it is committed.
    pub async fn commit(self) -> Result<(), DbErr> {
        self.end("COMMIT").await
    }

    /// # Errors
    /// [`DbErr`] of the database.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.end("ROLLBACK").await
    }

    async fn end(self, sql: &str) -> Result<(), DbErr> {
        let mut lease = self.lease.into_inner();
        lease.get()?.execute_unprepared(sql).await?;
        lease.give_back();
        Ok(())
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.lease.lock().await.get()?.execute(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.lease.lock().await.get()?.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.lease.lock().await.get()?.query_one(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.lease.lock().await.get()?.query_all(statement).await
    }
}
