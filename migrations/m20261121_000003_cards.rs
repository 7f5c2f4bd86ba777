//! Cards, their sealed secrets, and jobs for the agent.

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
            .table("card")
            .col(string("tenant"))
            .col(pk_uuid("id"))
            .col(string("serial"))
            .col(string("state"))
            .col(string_null("owner"))
            .col(string_null("owner_login"))
            .col(string("management"))
            .col(string_null("reader"))
            .col(big_integer("created_at"))
            .col(big_integer("changed_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index =
            Index::create().name("card_by_serial").table("card").col("serial").col("tenant").unique().to_owned();
        manager.create_index(index).await?;
        let index = Index::create().name("card_by_owner").table("card").col("owner_login").to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("sealed_secret")
            .col(string("tenant"))
            .col(pk_uuid("id"))
            .col(uuid("card"))
            .col(string("purpose"))
            .col(string("state"))
            .col(string("key_id"))
            .col(blob("nonce"))
            .col(blob("ciphertext"))
            .col(big_integer("created_at"))
            .col(big_integer_null("seen_by_host_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index =
            Index::create().name("sealed_secret_by_card").table("sealed_secret").col("card").col("purpose").to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("card_key")
            .col(string("tenant"))
            .col(uuid("card"))
            .col(string("slot"))
            .col(string("algorithm"))
            .col(uuid_null("certificate"))
            .col(big_integer("changed_at"))
            .primary_key(Index::create().col("card").col("slot"))
            .to_owned();
        manager.create_table(table).await?;
        let table = Table::create()
            .table("job")
            .col(string("tenant"))
            .col(pk_uuid("id"))
            .col(uuid("root"))
            .col(uuid("instance"))
            .col(big_integer("step"))
            .col(string("name"))
            .col(uuid_null("card"))
            .col(json_binary("parameters"))
            .col(json_binary("plan"))
            .col(string("state"))
            .col(big_integer("created_at"))
            .col(big_integer_null("ended_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("job_by_root").table("job").col("root").to_owned();
        manager.create_index(index).await?;
        let index = Index::create().name("job_by_instance").table("job").col("instance").to_owned();
        manager.create_index(index).await?;
        crate::leave_room(manager, "job").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["job", "card_key", "sealed_secret", "card"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
