//! Presence and capabilities of a paired agent, and the side that ended a pairing.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column a statement.
        for column in [
            big_integer_null("seen_at"),
            big_integer_null("gone_at"),
            string_null("ended_by"),
            json_binary_null("capabilities"),
        ] {
            manager.alter_table(Table::alter().table("pairing").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["seen_at", "gone_at", "ended_by", "capabilities"] {
            manager.alter_table(Table::alter().table("pairing").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
