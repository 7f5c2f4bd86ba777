//! One connection to either database.

use std::sync::Arc;

use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Executor, IntoArguments};
use sea_orm::{DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;

use super::options::STATEMENT_DEADLINE;

/// A connection to either database.
#[derive(Debug)]
pub(in crate::store) struct Connection {
    server: Server,
    /// The server did not answer before the deadline: its answer may still come, and is no answer to the next statement.
    is_silent: bool,
}

#[derive(Debug)]
enum Server {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl From<SqliteConnection> for Connection {
    fn from(connection: SqliteConnection) -> Self {
        Self { server: Server::Sqlite(connection), is_silent: false }
    }
}

impl From<PgConnection> for Connection {
    fn from(connection: PgConnection) -> Self {
        Self { server: Server::Postgres(connection), is_silent: false }
    }
}

/// A prepared query of sqlx.
fn query<D: sqlx::Database>(statement: Statement) -> Query<'static, D, SqlxValues>
where
    SqlxValues: IntoArguments<D>,
{
    let values = statement.values.unwrap_or_else(|| sea_orm::Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

impl Connection {
    pub fn is_file(&self) -> bool {
        matches!(self.server, Server::Sqlite(_))
    }

    /// Whether it is of no use any more.
    pub fn is_silent(&self) -> bool {
        self.is_silent
    }

    pub async fn execute(&mut self, statement: Statement) -> Result<ExecResult, DbErr> {
        let Self { server, is_silent } = self;
        let executed = match server {
            Server::Sqlite(connection) => query(statement).execute(connection).await.map(Into::into),
            Server::Postgres(connection) => {
                in_time(is_silent, query(statement).execute(connection)).await?.map(Into::into)
            }
        };
        executed.map_err(execution_error)
    }

    pub async fn execute_unprepared(&mut self, sql: &str) -> Result<ExecResult, DbErr> {
        let Self { server, is_silent } = self;
        let sql = AssertSqlSafe(sql.to_owned());
        let executed = match server {
            Server::Sqlite(connection) => connection.execute(sql).await.map(Into::into),
            Server::Postgres(connection) => in_time(is_silent, connection.execute(sql)).await?.map(Into::into),
        };
        executed.map_err(execution_error)
    }

    pub async fn query_one(&mut self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let Self { server, is_silent } = self;
        let found = match server {
            Server::Sqlite(connection) => {
                query(statement).fetch_optional(connection).await.map(|row| row.map(Into::into))
            }
            Server::Postgres(connection) => {
                let asked = in_time(is_silent, query(statement).fetch_optional(connection));
                asked.await?.map(|row| row.map(Into::into))
            }
        };
        found.map_err(query_error)
    }

    pub async fn query_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let Self { server, is_silent } = self;
        let found = match server {
            Server::Sqlite(connection) => {
                query(statement).fetch_all(connection).await.map(|rows| rows.into_iter().map(Into::into).collect())
            }
            Server::Postgres(connection) => {
                let asked = in_time(is_silent, query(statement).fetch_all(connection));
                asked.await?.map(|rows| rows.into_iter().map(Into::into).collect())
            }
        };
        found.map_err(query_error)
    }

    /// Checks that the connection is alive.
    pub async fn ping(&mut self) -> Result<(), DbErr> {
        let Self { server, is_silent } = self;
        let answered = match server {
            Server::Sqlite(connection) => connection.ping().await,
            Server::Postgres(connection) => in_time(is_silent, connection.ping()).await?,
        };
        answered.map_err(connection_error)
    }
}

/// Waits for an answer of PostgreSQL until the deadline of statements.
async fn in_time<T>(is_silent: &mut bool, answer: impl Future<Output = T>) -> Result<T, DbErr> {
    tokio::time::timeout(STATEMENT_DEADLINE, answer).await.map_err(|_| {
        *is_silent = true;
        let why = format!("the database has not answered in {STATEMENT_DEADLINE:?}");
        DbErr::Conn(RuntimeErr::Internal(why))
    })
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::options::Options;
    use super::super::pool::Pool;
    use super::*;

    /// A server that lets everybody in (AuthenticationOk, ReadyForQuery: PostgreSQL's protocol 3.0, section 55.2.1) and then says nothing.
    #[tokio::test]
    async fn a_server_that_falls_silent_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("postgres://sealwright@{}/x?sslmode=disable", listener.local_addr().expect("an address"));
        let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut bytes = [0; 4096];
            let _startup = stream.read(&mut bytes).await.expect("a startup message");
            stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await.expect("sent");
            while let Ok(1..) = stream.read(&mut bytes).await {}
            said.send("closed").expect("somebody listens");
        });
        let pool = Pool::new(Options::postgres(&url, None).expect("options"), 1).expect("a pool");
        let asked = tokio::spawn(async move {
            let transaction = pool.begin().await;
            // Whoever waits for the connection finds another one.
            (transaction.is_err(), pool)
        });
        // The deadline passes as soon as nobody has anything to do.
        while heard.is_empty() && !asked.is_finished() {
            tokio::task::yield_now().await;
            tokio::time::pause();
            tokio::time::advance(STATEMENT_DEADLINE).await;
            tokio::time::resume();
        }
        let (is_refused, _pool) = asked.await.expect("asked");
        assert!(is_refused);
        assert_eq!(heard.recv().await, Some("closed"));
    }
}
