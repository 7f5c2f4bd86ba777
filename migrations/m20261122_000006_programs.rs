//! Programs that call the API.

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
        let table = Table::create()
            .table("service_account")
            .col(string("tenant"))
            .col(string("name"))
            .col(string("role"))
            .col(string("token_digest").unique_key())
            .col(big_integer("created_at"))
            .col(big_integer_null("revoked_at"))
            .primary_key(Index::create().col("name").col("tenant"))
            .to_owned();
        manager.create_table(table).await?;
        let table = Table::create()
            .table("idempotency")
            .col(string("tenant"))
            .col(string("login"))
            .col(string("key"))
            .col(string("digest"))
            .col(uuid("instance"))
            .col(big_integer("created_at"))
            .primary_key(Index::create().col("key").col("login").col("tenant"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("idempotency_by_time").table("idempotency").col("created_at").to_owned();
        manager.create_index(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["idempotency", "service_account"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
