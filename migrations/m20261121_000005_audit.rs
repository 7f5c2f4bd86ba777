//! Who did what, sealed into a chain.

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
            .table("audit")
            .col(string("tenant"))
            .col(pk_uuid("id"))
            .col(big_integer("at"))
            .col(string("event"))
            .col(string_null("role"))
            .col(uuid_null("instance"))
            .col(string("request"))
            .col(string_null("actor"))
            .col(string_null("address"))
            .col(json_binary_null("detail"))
            .col(string_null("salt"))
            .col(string("personal"))
            .col(big_integer_null("sequence"))
            .to_owned();
        manager.create_table(table).await?;
        let index =
            Index::create().name("audit_by_sequence").table("audit").col("sequence").col("tenant").unique().to_owned();
        manager.create_index(index).await?;
        let index = Index::create().name("audit_by_instance").table("audit").col("instance").to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("audit_seal")
            .col(string("tenant"))
            .col(big_integer("sequence"))
            .col(uuid("audit"))
            .col(string("hash"))
            .col(big_integer("sealed_at"))
            .primary_key(Index::create().col("sequence").col("tenant"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("audit_seal_by_audit").table("audit_seal").col("audit").unique().to_owned();
        manager.create_index(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["audit_seal", "audit"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
