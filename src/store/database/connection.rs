//! One connection to either database.

use std::sync::Arc;

use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::sqlite::SqliteConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Executor, IntoArguments};
use sea_orm::{DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;

/// A connection to either database.
#[derive(Debug)]
pub(in crate::store) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
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

    /// Checks that the connection is alive.
    pub async fn ping(&mut self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(connection) => connection.ping().await,
            Self::Postgres(connection) => connection.ping().await,
        }
        .map_err(connection_error)
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
