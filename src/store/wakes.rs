//! Words between nodes that share a PostgreSQL database (NOTIFY, LISTEN). One that is lost does no harm: nodes look by themselves too.

use std::sync::Arc;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Statement, sqlx};

use super::{Store, StoreError, Writer};

const CHANNEL: &str = "sealwright";

/// Hears what other nodes say.
pub struct Listener(PgListener);

impl Store {
    /// `None` where the database has one node.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn listen(&self) -> Result<Option<Listener>, StoreError> {
        let Writer::Many(writers) = &self.writer else { return Ok(None) };
        let mut listener = PgListener::connect_with(writers.connection.get_postgres_connection_pool())
            .await
            .map_err(connection_error)?;
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
        writers.connection.query_one_raw(statement).await?;
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

fn connection_error(error: sqlx::Error) -> StoreError {
    StoreError::Database(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
}
