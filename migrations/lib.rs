//! The schema, one change a file. A released migration is never edited; a new one follows it.
//!
//! Every table carries the tenant. Moments are milliseconds since 1970 in UTC, so that both databases compare them alike.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

mod m20261121_000001_workflow;
mod m20261121_000002_people;
mod m20261121_000003_cards;
mod m20261121_000004_pki;
mod m20261121_000005_audit;
mod m20261122_000006_programs;
mod m20261201_000007_presence;

/// All migrations, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_workflow::Migration),
            Box::new(m20261121_000002_people::Migration),
            Box::new(m20261121_000003_cards::Migration),
            Box::new(m20261121_000004_pki::Migration),
            Box::new(m20261121_000005_audit::Migration),
            Box::new(m20261122_000006_programs::Migration),
            Box::new(m20261201_000007_presence::Migration),
        ]
    }
}

/// Leaves room in the pages of a table whose rows are updated often: PostgreSQL then writes the new version of a row beside the old one, and no index.
async fn leave_room(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Postgres {
        let sql = format!("ALTER TABLE \"{table}\" SET (fillfactor = 60)");
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}
