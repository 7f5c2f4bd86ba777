//! Connections to the database, and transactions on them. They are pooled here: the library's own pool asks each connection after each use whether
//! it is still there, which is a question more for every one that was to be asked. Here only those are asked that have rested, or whose use was
//! broken off.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection as _, Executor, IntoArguments};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement,
};
use sea_query_sqlx::SqlxValues;
use tokio::runtime;
use tokio::sync::Mutex;

/// How long a connection is waited for, be it in use, or its server just starting.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// A server's connection that was not used for so long is asked whether it lives: a database that comes back has been away for longer than this.
const RESTED: Duration = Duration::from_millis(100);
/// One that was not used for so long is not asked any more: who is between forgets it silently.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);
/// Its end sets free what the server has gathered for it.
const OLDEST: Duration = Duration::from_secs(30 * 60);
/// How long the answer takes at most of one that is asked whether it lives.
const ANSWER: Duration = Duration::from_secs(2);

/// How long a use that was broken off is waited out: the server goes on with a statement until its `statement_timeout`, whether anybody is there or not.
const UNWINDING: Duration = Duration::from_secs(35);

/// How a database is connected to.
#[derive(Clone)]
pub(super) enum Options {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

impl Options {
    pub fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// Opens a connection; a server that is starting is waited for.
    ///
    /// # Errors
    /// [`DbErr::Conn`] when the database is not there, [`DbErr::ConnectionAcquire`] when it takes too long.
    pub async fn open(&self) -> Result<Connection, DbErr> {
        let opening = async {
            let mut pause = Duration::from_millis(10);
            loop {
                match self.try_to_open().await {
                    Err(error) if is_starting(&error) => tokio::time::sleep(pause).await,
                    other => return other,
                }
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        };
        let timeout = DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        tokio::time::timeout(PATIENCE, opening).await.unwrap_or(Err(timeout))
    }

    async fn try_to_open(&self) -> Result<Connection, DbErr> {
        let opened = match self {
            Self::Sqlite(options) => options.connect().await.map(Connection::Sqlite),
            Self::Postgres(options) => options.connect().await.map(Connection::Postgres),
        };
        opened.map_err(connection_error)
    }

    /// The library's own connection, for who needs exactly that: migrations.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub async fn open_for_migrations(&self) -> Result<DatabaseConnection, DbErr> {
        let opened = match self {
            Self::Sqlite(options) => {
                let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
                pool.connect_with((**options).clone()).await.map(DatabaseConnection::from)
            }
            Self::Postgres(options) => {
                // One that holds the lock, and one that migrates.
                let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(PATIENCE);
                pool.connect_with((**options).clone()).await.map(DatabaseConnection::from)
            }
        };
        opened.map_err(connection_error)
    }
}

/// Says no password.
impl std::fmt::Debug for Options {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Options({:?})", self.backend())
    }
}

/// A connection to either database.
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// What SQL and values are asked with.
fn query<D: sqlx::Database>(statement: Statement) -> Query<'static, D, SqlxValues>
where
    SqlxValues: IntoArguments<D>,
{
    let values = statement.values.unwrap_or_else(|| sea_orm::Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

impl Connection {
    pub async fn execute(&mut self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(connection) => query(statement).execute(connection).await.map(Into::into),
            Self::Postgres(connection) => query(statement).execute(connection).await.map(Into::into),
        }
        .map_err(execution_error)
    }

    pub async fn execute_unprepared(&mut self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => connection.execute(sql).await.map(Into::into),
            Self::Postgres(connection) => connection.execute(sql).await.map(Into::into),
        }
        .map_err(execution_error)
    }

    pub async fn query_one(&mut self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(connection) => {
                query(statement).fetch_optional(connection).await.map(|row| row.map(Into::into))
            }
            Self::Postgres(connection) => {
                query(statement).fetch_optional(connection).await.map(|row| row.map(Into::into))
            }
        }
        .map_err(query_error)
    }

    pub async fn query_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(connection) => {
                query(statement).fetch_all(connection).await.map(|rows| rows.into_iter().map(Into::into).collect())
            }
            Self::Postgres(connection) => {
                query(statement).fetch_all(connection).await.map(|rows| rows.into_iter().map(Into::into).collect())
            }
        }
        .map_err(query_error)
    }

    /// Asks whether it lives.
    pub async fn ping(&mut self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(connection) => connection.ping().await,
            Self::Postgres(connection) => connection.ping().await,
        }
        .map_err(connection_error)
    }
}

/// Whether the server is about to be there.
fn is_starting(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(error)) = error else { return false };
    match error.as_ref() {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}

fn execution_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

pub(super) fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

/// What the pool opens connections with.
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
        if matches!(connection, Connection::Sqlite(_)) {
            return Ok(());
        }
        let rested = metrics.last_used();
        if rested > FORGOTTEN || metrics.age() > OLDEST {
            return Err(RecycleError::message("old"));
        }
        if rested > RESTED {
            connection.ping().await.map_err(RecycleError::Backend)?;
        }
        Ok(())
    }
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

/// What a burst has opened goes when it is not used any more.
async fn close_unused(connections: managed::WeakPool<Opener>) {
    loop {
        tokio::time::sleep(FORGOTTEN / 2).await;
        let Some(connections) = connections.upgrade() else { return };
        connections.retain(|_, metrics| metrics.last_used() <= FORGOTTEN && metrics.age() <= OLDEST);
    }
}

fn internal(error: impl std::fmt::Display) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(error.to_string()))
}

/// What a connection is in the midst of.
#[derive(Clone, Copy, Debug)]
enum Open {
    Question,
    Transaction,
}

/// A connection in use. Whoever has come to an end with it gives it back; otherwise it is put in order first, or closed.
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
        let Ok(runtime) = runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let Some(connection) = unsettled.0.as_mut() else { return };
            let put_in_order = async {
                match open {
                    Open::Question => connection.ping().await,
                    Open::Transaction => connection.execute_unprepared("ROLLBACK").await.map(drop),
                }
            };
            if matches!(tokio::time::timeout(UNWINDING, put_in_order).await, Ok(Ok(()))) {
                drop(unsettled.0.take());
            }
        });
    }
}

/// A connection that is closed unless it was put in order, also when nobody came to that.
struct Unsettled(Option<Object<Opener>>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            tracing::warn!("a connection to the database is closed: its use was broken off");
            drop(Object::take(connection));
        }
    }
}

/// For questions outside of any transaction.
#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        self.options().backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease(Open::Question).await?;
        let result = lease.get()?.execute(statement).await?;
        lease.give_back();
        Ok(result)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut lease = self.lease(Open::Question).await?;
        let result = lease.get()?.execute_unprepared(sql).await?;
        lease.give_back();
        Ok(result)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut lease = self.lease(Open::Question).await?;
        let row = lease.get()?.query_one(statement).await?;
        lease.give_back();
        Ok(row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut lease = self.lease(Open::Question).await?;
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
