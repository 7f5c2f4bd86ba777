//! Browser sessions and paired agents.

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
            .table("session")
            .col(string("tenant"))
            .col(string("id").primary_key())
            .col(string("login"))
            .col(string_null("role"))
            .col(string("csrf"))
            .col(big_integer("created_at"))
            .col(big_integer("seen_at"))
            .col(big_integer_null("role_checked_at"))
            .col(big_integer_null("role_unanswered_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("session_by_seen").table("session").col("seen_at").to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("pairing")
            .col(string("tenant"))
            .col(pk_uuid("id"))
            .col(uuid("root"))
            .col(string("session"))
            .col(string("login"))
            .col(string("code_hash"))
            .col(string("short_code_hash"))
            .col(big_integer("expires_at"))
            .col(string("state"))
            .col(string_null("host"))
            .col(ColumnDef::new("agent_key").blob())
            .col(json_binary_null("readers"))
            .col(string_null("number"))
            .col(boolean("confirmed_by_person"))
            .col(boolean("confirmed_by_agent"))
            .col(big_integer("epoch"))
            .col(string_null("node"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("pairing_by_code").table("pairing").col("code_hash").unique().to_owned();
        manager.create_index(index).await?;
        let index = Index::create().name("pairing_by_short_code").table("pairing").col("short_code_hash").to_owned();
        manager.create_index(index).await?;
        let index = Index::create().name("pairing_by_root").table("pairing").col("root").to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("login")
            .col(string("tenant"))
            .col(string("login"))
            .col(string("person"))
            .primary_key(Index::create().col("login").col("tenant"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("login_by_person").table("login").col("person").to_owned();
        manager.create_index(index).await?;
        crate::leave_room(manager, "pairing").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["login", "pairing", "session"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
