//! Errors of the database, and which of them a retry may cure.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

use super::words::UnknownValue;

/// Failure of the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database failed")]
    Database(#[source] DbErr),
    #[error("the row was changed by somebody else")]
    Conflict,
    #[error("`{0}` exists already")]
    Exists(&'static str),
    /// A row that the program never writes: another program wrote it, or a migration is wrong.
    #[error("the table `{table}` holds a row that cannot be read: {why}")]
    Inconsistent { table: &'static str, why: String },
    /// A connection to another machine without TLS.
    #[error("the database is on another machine: say `?sslmode=verify-full&sslrootcert=/path/to/ca.pem` in its URL")]
    Plain,
    #[error("the database is shutting down")]
    Closed,
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::TryIntoErr { source, .. } => match source.downcast_ref::<UnknownValue>() {
                Some(unknown) => Self::Inconsistent { table: unknown.table, why: unknown.to_string() },
                None => Self::Database(error),
            },
            _ => Self::Database(error),
        }
    }
}

impl StoreError {
    /// Whether the same transaction may succeed when it is run again.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Database(error) => is_passing(error),
            _ => false,
        }
    }

    pub(in crate::store) fn is_unique_violation(error: &DbErr) -> bool {
        matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
    }
}

fn is_passing(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(inner))
    | DbErr::Query(RuntimeErr::SqlxError(inner))
    | DbErr::Conn(RuntimeErr::SqlxError(inner))) = error
    else {
        return false;
    };
    let sqlx::Error::Database(database) = inner.as_ref() else { return false };
    let code = database.code().unwrap_or_default();
    if database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        // Serialization failure, deadlock, lock timeout.
        return matches!(code.as_ref(), "40001" | "40P01" | "55P03");
    }
    // SQLITE_BUSY and SQLITE_LOCKED, whatever their extension.
    code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Error of a transaction: the store's own, or the caller's reason to roll back.
pub trait WriteError: From<StoreError> + Send + 'static {
    fn store_error(&self) -> Option<&StoreError>;
}

impl WriteError for StoreError {
    fn store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}
