//! Notifications between nodes that share a PostgreSQL database (LISTEN, NOTIFY). A lost one does no harm: nodes poll too.

use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::connection::connection_error;
use super::options::{Options, PATIENCE};
use super::{Store, StoreError, Writer};

const CHANNEL: &str = "sealwright";

/// Receives the notifications of all nodes.
pub struct Listener(PgListener);

impl Store {
    /// `None` where the database has one node.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn listen(&self) -> Result<Option<Listener>, StoreError> {
        let Writer::Many(writers) = &self.writer else { return Ok(None) };
        let Options::Postgres(options) = writers.pool.options() else { return Ok(None) };
        // It listens for as long as it lives.
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
        let pool = pool.max_lifetime(None).idle_timeout(None);
        let pool = pool.connect_lazy_with((**options).clone());
        let mut listener = PgListener::connect_with(&pool).await.map_err(connection_error)?;
        listener.listen(CHANNEL).await.map_err(connection_error)?;
        Ok(Some(Listener(listener)))
    }

    /// Says `words`, under 8000 bytes, to every node that listens, this one too. Outside any transaction: NOTIFY makes commits wait for each
    /// other.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn notify(&self, words: &str) -> Result<(), StoreError> {
        let Writer::Many(writers) = &self.writer else { return Ok(()) };
        let sql = "SELECT pg_notify($1, $2)";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [CHANNEL.into(), words.into()]);
        writers.pool.query_one_raw(statement).await?;
        Ok(())
    }
}

impl Listener {
    /// Waits for the next words; connects again by itself when the connection was lost.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the database is not there.
    pub async fn hear(&mut self) -> Result<String, StoreError> {
        let notification = self.0.recv().await.map_err(connection_error)?;
        Ok(notification.payload().to_owned())
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Listener")
    }
}
