//! Connection options of either database, and a connection opened with them.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions};
use sea_orm::{ConnAcquireErr, DatabaseConnection, DbBackend, DbErr, RuntimeErr};
use zeroize::Zeroizing;

use super::StoreError;
use super::connection::{Connection, connection_error};

/// Timeout for a connection that is in use, or whose server is starting.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Timeout of a statement in the server.
const STATEMENT_TIMEOUT: &str = "30s";
/// Timeout of a statement here: a server, or the network to it, that says nothing past its own timeout is gone.
pub(super) const STATEMENT_DEADLINE: Duration = Duration::from_secs(35);

/// Capacity of a connection's cache of prepared statements: a multi-row INSERT is another statement for each number of rows.
const STATEMENTS: usize = 512;

/// How a database is connected to: file or server, timeouts, statement cache.
#[derive(Clone)]
pub(in crate::store) enum Options {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

impl Options {
    /// Connects to a `postgres://…` URL.
    ///
    /// # Errors
    /// [`StoreError::Plain`] for another machine without TLS, [`StoreError::Database`] for no such URL.
    pub fn postgres(url: &str, password: Option<Zeroizing<String>>) -> Result<Self, StoreError> {
        let options =
            PgConnectOptions::from_str(url).map_err(|error| DbErr::Conn(RuntimeErr::Internal(error.to_string())))?;
        let host = options.get_host();
        let is_local = options.get_socket().is_some() || host.starts_with('/') || ["127.0.0.1", "::1"].contains(&host);
        if !is_local && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
            return Err(StoreError::Plain);
        }
        let options = options
            .application_name("sealwright")
            .statement_cache_capacity(STATEMENTS)
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT),
                // The server ends the session of a node that does not acknowledge, and frees its locks.
                ("tcp_user_timeout", STATEMENT_TIMEOUT),
                // A node that stands still or is cut off within a transaction keeps its rows from the others no longer than its leases.
                ("idle_in_transaction_session_timeout", "10s"),
            ])
            .disable_statement_logging();
        Ok(Self::Postgres(Box::new(match &password {
            Some(password) => options.password(password),
            None => options,
        })))
    }

    /// Connects to a file, which is made when it is not there.
    pub fn sqlite(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(STATEMENTS)
            .foreign_keys(true)
            .disable_statement_logging();
        Self::Sqlite(Box::new(options))
    }

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
            Self::Sqlite(options) => options.connect().await.map(Connection::from),
            Self::Postgres(options) => options.connect().await.map(Connection::from),
        };
        opened.map_err(connection_error)
    }

    /// A connection of sea-orm's own, which migrations need.
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
                // Two connections: the first holds the lock, the second migrates.
                let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(PATIENCE);
                pool.connect_with((**options).clone()).await.map(DatabaseConnection::from)
            }
        };
        opened.map_err(connection_error)
    }
}

/// Leaves the password out.
impl std::fmt::Debug for Options {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Options({:?})", self.backend())
    }
}

/// Whether the server is starting up, so that a retry may succeed.
fn is_starting(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(error)) = error else { return false };
    match error.as_ref() {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}
