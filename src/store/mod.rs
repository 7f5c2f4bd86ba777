//! The database: the only room that knows sea-orm. SQLite and PostgreSQL, one transaction a step.
//!
//! All changes go through [`Store::write`]: a closure that may run again. On PostgreSQL each call is a transaction that is
//! repeated after a serialization failure or a deadlock; on SQLite one writer task runs several calls per `BEGIN IMMEDIATE`, each in a
//! savepoint, and answers after the commit. Reads have their own pool and never wait for the writer.
//!
//! To add a table: a migration, `entities/<table>.rs`, `<tables>.rs` with its queries. Every query names the tenant.

pub mod audits;
pub mod backup;
pub mod cards;
pub mod certificates;
mod connection;
pub mod definitions;
mod entities;
#[cfg(test)]
pub(crate) mod facts;
mod home;
pub mod idempotency;
pub mod instances;
pub mod jobs;
mod journal;
pub mod logins;
mod many_writers;
pub mod pairings;
mod pool;
mod recent;
pub mod service_accounts;
pub mod sessions;
mod single_writer;
pub mod tasks;
pub mod waits;
pub mod wakes;
pub mod work;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, RuntimeErr, SqlErr, Statement, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use zeroize::Zeroizing;

use audits::ChainEnd;
use connection::Options;
pub use home::Home;
use home::Reading;
use journal::Journal;
use pool::{Pool, Transaction};
pub use recent::Recent;

use crate::fail_point;

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database failed")]
    Database(#[from] DbErr),
    #[error("the row was changed by somebody else")]
    Conflict,
    #[error("`{0}` exists already")]
    Exists(&'static str),
    /// A row that the program never writes: somebody else did, or a migration is wrong.
    #[error("the table `{table}` holds a row that cannot be read: {why}")]
    Inconsistent { table: &'static str, why: String },
    /// What is not encrypted must not leave the machine.
    #[error("the database is on another machine: say `?sslmode=verify-full&sslrootcert=/path/to/ca.pem` in its URL")]
    Plain,
    #[error("the database is shutting down")]
    Closed,
}

impl StoreError {
    /// Whether the same transaction may succeed when it is run again.
    fn is_passing(&self) -> bool {
        match self {
            Self::Database(error) => is_passing(error),
            _ => false,
        }
    }

    fn is_unique_violation(error: &DbErr) -> bool {
        matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
    }
}

/// Whether a text can stand in a column at all: PostgreSQL has no NUL in one, and fails where it is asked for it.
fn is_storable(text: &str) -> bool {
    !text.contains('\0')
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

/// An error that a transaction may end with: the store's own, or the caller's reason to roll back.
pub trait WriteError: From<StoreError> + Send + 'static {
    fn store_error(&self) -> Option<&StoreError>;
}

impl WriteError for StoreError {
    fn store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// Something that queries run on: a transaction or the reading pool.
pub trait Access: Send + Sync {
    type Connection: ConnectionTrait;

    fn connection(&self) -> &Self::Connection;

    fn tenant(&self) -> &str;
}

/// An open transaction.
#[derive(Clone, Debug)]
pub struct Tx {
    transaction: Arc<Transaction>,
    tenant: Arc<str>,
    journal: Journal,
    /// Known where no other transaction can be under way.
    chain_end: Option<Arc<Mutex<ChainEnd>>>,
}

impl Access for Tx {
    type Connection = Transaction;

    fn connection(&self) -> &Transaction {
        &self.transaction
    }

    fn tenant(&self) -> &str {
        &self.tenant
    }
}

impl Tx {
    fn new(transaction: Transaction, tenant: Arc<str>) -> Self {
        Self { transaction: Arc::new(transaction), tenant, journal: Journal::default(), chain_end: None }
    }

    fn alone(transaction: Transaction, tenant: Arc<str>, chain_end: ChainEnd) -> Self {
        Self { chain_end: Some(Arc::new(Mutex::new(chain_end))), ..Self::new(transaction, tenant) }
    }

    /// Where the audit's chain ends, in a transaction that is alone.
    fn chain_end(&self) -> Option<ChainEnd> {
        self.chain_end.as_ref().map(|end| end.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn move_chain_end(&self, end: ChainEnd) {
        if let Some(known) = &self.chain_end {
            *known.lock().unwrap_or_else(PoisonError::into_inner) = end;
        }
    }

    /// Runs the work of the transaction and writes what it has gathered.
    async fn run<T, E, Fut>(&self, work: impl FnOnce(Self) -> Fut) -> Result<T, E>
    where
        E: WriteError,
        Fut: Future<Output = Result<T, E>>,
    {
        let value = work(self.clone()).await?;
        self.journal.write(self).await?;
        Ok(value)
    }

    /// The transaction, once the work has let go of it.
    fn into_transaction(self) -> Result<Transaction, StoreError> {
        Arc::into_inner(self.transaction).ok_or(StoreError::Closed)
    }

    /// Whether the transaction is alone in the database: then the steps of several instances may share it.
    pub fn is_alone(&self) -> bool {
        self.transaction.get_database_backend() == DbBackend::Sqlite
    }

    /// Takes a lock that ends with the transaction; `false` when another node's transaction has it. Where there is one writer, it is taken.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn try_lock(&self, name: &str) -> Result<bool, StoreError> {
        if self.is_alone() {
            return Ok(true);
        }
        let row = self.ask_for_lock("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS taken", name).await?;
        let row = row.ok_or(StoreError::Inconsistent { table: "lock", why: "no row".to_owned() })?;
        Ok(row.try_get("", "taken")?)
    }

    /// Waits for a lock that ends with the transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lock(&self, name: &str) -> Result<(), StoreError> {
        if !self.is_alone() {
            self.ask_for_lock("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name).await?;
        }
        Ok(())
    }

    async fn ask_for_lock(&self, sql: &str, name: &str) -> Result<Option<QueryResult>, StoreError> {
        let (backend, key) = (self.transaction.get_database_backend(), format!("{name} of {}", self.tenant));
        Ok(self.transaction.query_one_raw(Statement::from_sql_and_values(backend, sql, [key.into()])).await?)
    }

    /// The SQL expression for the database's own clock, in milliseconds.
    fn clock(&self) -> &'static str {
        match self.transaction.get_database_backend() {
            DbBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
            _ => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        }
    }

    /// The database's own clock, in milliseconds: leases of several nodes are measured by it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn database_time(&self) -> Result<i64, StoreError> {
        let backend = self.transaction.get_database_backend();
        let sql = format!("SELECT {} AS now", self.clock());
        let row = self.transaction.query_one_raw(Statement::from_string(backend, sql)).await?;
        let row = row.ok_or(StoreError::Inconsistent { table: "clock", why: "no row".to_owned() })?;
        Ok(row.try_get("", "now")?)
    }
}

/// The reading pool.
#[derive(Clone, Debug)]
pub struct Reader {
    connection: Reading,
    tenant: Arc<str>,
}

impl Access for Reader {
    type Connection = Reading;

    fn connection(&self) -> &Reading {
        &self.connection
    }

    fn tenant(&self) -> &str {
        &self.tenant
    }
}

/// An open database.
#[derive(Clone, Debug)]
pub struct Store {
    reader: Reader,
    writer: Writer,
    /// Counts the transactions of this process that may have changed something.
    commits: Arc<AtomicU64>,
    home: Home,
}

#[derive(Clone, Debug)]
enum Writer {
    Single(single_writer::Handle),
    Many(many_writers::Handle),
}

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Store {
    /// Opens `sqlite:<path>` or `postgres://…` and brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be opened or migrated.
    pub async fn open(url: &str, tenant: &str) -> Result<Self, StoreError> {
        Self::open_with_password(url, tenant, None).await
    }

    /// The same; PostgreSQL asks for a password that does not stand in the URL.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with_password(
        url: &str,
        tenant: &str,
        password: Option<Zeroizing<String>>,
    ) -> Result<Self, StoreError> {
        let (tenant, home) = (Arc::<str>::from(tenant), Home::here());
        if let Some(path) = url.strip_prefix("sqlite:") {
            let options = sqlite(Path::new(path));
            let migrating = options.open_for_migrations().await?;
            sealwright_migrations::Migrator::up(&migrating, None).await?;
            migrating.close().await?;
            let connection = Reading { pool: Pool::new(options.clone(), 4)?, home: None };
            let writer = Writer::Single(single_writer::start(options, tenant.clone()));
            return Ok(Self { reader: Reader { connection, tenant }, writer, commits: Arc::default(), home });
        }
        let options = postgres(url, password)?;
        migrate_alone(&options).await?;
        let pool = Pool::new(options, 16)?;
        let writer = Writer::Many(many_writers::Handle { pool: pool.clone(), tenant: tenant.clone() });
        let connection = Reading { pool, home: Some(home.clone()) };
        Ok(Self { reader: Reader { connection, tenant }, writer, commits: Arc::default(), home })
    }

    /// Whether a database answers, without a change to it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reach(url: &str, password: Option<Zeroizing<String>>) -> Result<(), StoreError> {
        let options = match url.strip_prefix("sqlite:") {
            // Opening a file that is not there would make it.
            Some(path) if !Path::new(path).exists() => {
                let folder = Path::new(path).parent().filter(|folder| folder.is_dir());
                let missing =
                    || StoreError::Inconsistent { table: "file", why: format!("{path}: there is no such folder") };
                return folder.map(|_| ()).ok_or_else(missing);
            }
            Some(path) => sqlite(Path::new(path)),
            None => postgres(url, password)?,
        };
        Ok(options.open().await?.ping().await?)
    }

    pub fn read(&self) -> &Reader {
        &self.reader
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Runs `work` in a transaction of its own, again if the database asks for it.
    ///
    /// # Errors
    /// What `work` ends with; then nothing of it is in the database.
    pub async fn write<T, E, F, Fut>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: WriteError,
        F: Fn(Tx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        fail_point!(async "store.write.before");
        let here = self.clone();
        let writing = async move {
            let result = match &here.writer {
                Writer::Single(writer) => writer.run(work).await,
                Writer::Many(writers) => writers.run(work).await,
            };
            // Before anybody is told: whoever knows of it reads it.
            here.commits.fetch_add(1, Ordering::Release);
            result
        };
        let result = self.home.run(writing).await?;
        fail_point!(async "store.write.after");
        result
    }
}

fn postgres(url: &str, password: Option<Zeroizing<String>>) -> Result<Options, StoreError> {
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
            ("statement_timeout", "30s"),
            // A node that stands still or is cut off within a transaction keeps its rows from the others no longer than its leases.
            ("idle_in_transaction_session_timeout", "10s"),
        ])
        .disable_statement_logging();
    Ok(Options::Postgres(Box::new(match &password {
        Some(password) => options.password(password),
        None => options,
    })))
}

/// How many prepared statements a connection keeps: rows that are written together make as many statements as there are numbers of them.
const STATEMENTS: usize = 512;

fn sqlite(path: &Path) -> Options {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(STATEMENTS)
        .foreign_keys(true)
        .disable_statement_logging();
    Options::Sqlite(Box::new(options))
}

/// Two nodes that start together must not migrate together: the second one waits for the first.
async fn migrate_alone(options: &Options) -> Result<(), StoreError> {
    let connection = options.open_for_migrations().await?;
    let transaction = connection.begin().await?;
    // It waits as long as the other connection needs.
    let lock = "SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_advisory_xact_lock(7325)";
    transaction.execute_unprepared(lock).await?;
    sealwright_migrations::Migrator::up(&connection, None).await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}
