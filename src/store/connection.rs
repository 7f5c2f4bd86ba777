//! One connection to either database: how it is opened, and asked.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection as _, Executor, IntoArguments};
use sea_orm::{ConnAcquireErr, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;

/// How long a connection is waited for, be it in use, or its server just starting.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

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
