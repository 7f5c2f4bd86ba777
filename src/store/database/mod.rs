//! The connection to SQLite or PostgreSQL, and transactions on it.
//!
//! All changes go through [`Store::write`]: a closure that may run again. On PostgreSQL each call is a transaction that is
//! retried after a serialization failure or a deadlock (`many_writers`). On SQLite one writer task runs several calls per
//! `BEGIN IMMEDIATE`, each in a savepoint, and answers after the commit (`single_writer`). Reads have their own pool and never
//! wait for the writer.
//!
//! The tables are here, because the flush writes them together; their queries are beside this floor, which imports none of them.
//!
//! A transaction writes in two ways: at once, or deferred to the flush just before COMMIT (`pending_writes`).

pub(super) mod audit_chain;
mod connection;
mod error;
mod many_writers;
mod migration;
mod notifications;
mod options;
mod pending_writes;
mod pool;
mod read_cache;
mod runtime_handle;
mod single_writer;
pub(super) mod tables;
mod tenant;
pub(super) mod time;
mod transaction;
mod words;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{ConnectionTrait, DbBackend};
use zeroize::Zeroizing;

pub use error::{StoreError, WriteError};
pub use notifications::Listener;
pub(super) use options::Options;
pub(super) use pending_writes::Statement;
use pool::Pool;
pub use read_cache::ReadCache;
use runtime_handle::PinnedReader;
pub use runtime_handle::RuntimeHandle;
pub(super) use tenant::{Fetch, OfTenant, Record, insert, insertion, table, update_returning};
pub use transaction::Tx;
pub use words::Word;
pub(super) use words::{UnknownValue, read_word, stored_as_word};

use crate::fail_point;

/// Something that queries run on: a transaction or the reading pool.
pub trait Access: Send + Sync {
    type Connection: ConnectionTrait;

    fn connection(&self) -> &Self::Connection;

    fn tenant(&self) -> &str;
}

/// The reading pool.
#[derive(Clone, Debug)]
pub struct Reader {
    connection: PinnedReader,
    tenant: Arc<str>,
}

impl Access for Reader {
    type Connection = PinnedReader;

    fn connection(&self) -> &PinnedReader {
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
    /// The runtime whose threads use the database's connections.
    runtime: RuntimeHandle,
}

#[derive(Clone, Debug)]
enum Writer {
    Single(single_writer::Handle),
    Many(many_writers::Handle),
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

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
        let (tenant, runtime) = (Arc::<str>::from(tenant), RuntimeHandle::current());
        let (writer, connection) = match url.strip_prefix("sqlite:") {
            Some(path) => {
                let options = Options::sqlite(Path::new(path));
                migration::migrate(&options).await?;
                let connection = PinnedReader { pool: Pool::new(options.clone(), 4)?, runtime: None };
                (Writer::Single(single_writer::start(options, tenant.clone())), connection)
            }
            None => {
                let options = Options::postgres(url, password)?;
                migration::migrate(&options).await?;
                let pool = Pool::new(options, 16)?;
                let writer = Writer::Many(many_writers::Handle { pool: pool.clone(), tenant: tenant.clone() });
                (writer, PinnedReader { pool, runtime: Some(runtime.clone()) })
            }
        };
        Ok(Self { reader: Reader { connection, tenant }, writer, commits: Arc::default(), runtime })
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
            Some(path) => Options::sqlite(Path::new(path)),
            None => Options::postgres(url, password)?,
        };
        Ok(options.open().await?.ping().await?)
    }

    pub fn read(&self) -> &Reader {
        &self.reader
    }

    /// Writes as little as can be written and be on the disk: a full disk, or one that may only be read, fails here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn try_to_write(&self) -> Result<(), StoreError> {
        self.write(|tx| async move {
            // SQLite writes its header page; PostgreSQL the end of a transaction that has a number.
            let statement = match tx.connection().get_database_backend() {
                DbBackend::Postgres => "SELECT pg_current_xact_id()",
                _ => "PRAGMA user_version = 0",
            };
            tx.connection().execute_unprepared(statement).await?;
            Ok(())
        })
        .await
    }

    pub fn runtime(&self) -> &RuntimeHandle {
        &self.runtime
    }

    /// Runs `work` in a transaction of its own, again if the database asks for it.
    ///
    /// # Errors
    /// The error of `work`, which is rolled back then, or of the database.
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
        let result = self.runtime.run(writing).await?;
        fail_point!(async "store.write.after");
        result
    }
}

/// Whether a text can be stored and compared at all: PostgreSQL refuses NUL in a text.
pub(super) fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}
