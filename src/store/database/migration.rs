//! Migration of the schema when the database is opened.

use sea_orm::{ConnectionTrait, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use sealwright_migrations::Migrator;

use super::{Options, StoreError};

/// Brings the schema up to date.
///
/// # Errors
/// [`StoreError::Database`], also when the schema is newer than the program.
pub(super) async fn migrate(options: &Options) -> Result<(), StoreError> {
    match options {
        Options::Sqlite(_) => {
            let connection = options.open_for_migrations().await?;
            Migrator::up(&connection, None).await?;
            connection.close().await?;
            Ok(())
        }
        Options::Postgres(_) => migrate_alone(options).await,
    }
}

/// Migrates under an advisory lock: of two nodes that start together the second waits for the first.
async fn migrate_alone(options: &Options) -> Result<(), StoreError> {
    let connection = options.open_for_migrations().await?;
    let transaction = connection.begin().await?;
    // It waits as long as the other connection needs.
    let lock = "SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_advisory_xact_lock(7325)";
    transaction.execute_unprepared(lock).await?;
    Migrator::up(&connection, None).await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(())
}
