//! A transaction as the work in it sees it.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::audit_chain::ChainEnd;
use super::pending_writes::PendingWrites;
use super::pool::Transaction;
use super::{Access, StoreError, WriteError};

/// An open transaction.
#[derive(Clone, Debug)]
pub struct Tx {
    pub(super) transaction: Arc<Transaction>,
    tenant: Arc<str>,
    /// Flushed just before COMMIT.
    pub(in crate::store) pending: PendingWrites,
    /// The end of the audit's chain, where no other transaction can be under way.
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
    pub(super) fn new(transaction: Transaction, tenant: Arc<str>) -> Self {
        Self { transaction: Arc::new(transaction), tenant, pending: PendingWrites::default(), chain_end: None }
    }

    pub(super) fn alone(transaction: Transaction, tenant: Arc<str>, chain_end: ChainEnd) -> Self {
        Self { chain_end: Some(Arc::new(Mutex::new(chain_end))), ..Self::new(transaction, tenant) }
    }

    /// The end of the audit's chain, in a transaction that is alone.
    pub(in crate::store) fn chain_end(&self) -> Option<ChainEnd> {
        self.chain_end.as_ref().map(|end| end.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub(in crate::store) fn move_chain_end(&self, end: ChainEnd) {
        if let Some(known) = &self.chain_end {
            *known.lock().unwrap_or_else(PoisonError::into_inner) = end;
        }
    }

    /// Runs the work of the transaction and writes what it has gathered.
    pub(super) async fn run<T, E, Fut>(&self, work: impl FnOnce(Self) -> Fut) -> Result<T, E>
    where
        E: WriteError,
        Fut: Future<Output = Result<T, E>>,
    {
        let value = work(self.clone()).await?;
        self.pending.flush(self).await?;
        Ok(value)
    }

    /// The transaction, once the work has let go of it.
    pub(super) fn into_transaction(self) -> Result<Transaction, StoreError> {
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
}
