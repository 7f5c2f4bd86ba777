//! Certificates from the intent on, and revocation lists.

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
            .table("certificate")
            .col(string("tenant"))
            .col(pk_uuid("id"))
            .col(string("authority"))
            .col(string("serial"))
            .col(string("status"))
            .col(string("profile"))
            .col(string("person"))
            .col(string("owner_login"))
            .col(uuid_null("card"))
            .col(string_null("slot"))
            .col(string("subject"))
            .col(string("names_digest"))
            .col(big_integer("not_before"))
            .col(big_integer("not_after"))
            .col(string("public_key_digest"))
            .col(blob("to_be_signed"))
            .col(ColumnDef::new("certificate").blob())
            .col(string_null("fingerprint"))
            .col(uuid("instance"))
            .col(big_integer("step"))
            .col(big_integer("created_at"))
            .col(big_integer_null("revoked_at"))
            .col(string_null("reason"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("certificate_by_serial")
            .table("certificate")
            .col("serial")
            .col("authority")
            .col("tenant")
            .unique()
            .to_owned();
        manager.create_index(index).await?;
        let index = Index::create().name("certificate_by_owner").table("certificate").col("owner_login").to_owned();
        manager.create_index(index).await?;
        let index = Index::create().name("certificate_by_key").table("certificate").col("public_key_digest").to_owned();
        manager.create_index(index).await?;
        let index = Index::create()
            .name("certificate_by_step")
            .table("certificate")
            .col("instance")
            .col("step")
            .unique()
            .to_owned();
        manager.create_index(index).await?;
        crate::leave_room(manager, "certificate").await?;
        let index = Index::create().name("certificate_by_person").table("certificate").col("person").to_owned();
        manager.create_index(index).await?;
        let index = Index::create().name("certificate_by_card").table("certificate").col("card").to_owned();
        manager.create_index(index).await?;
        // Few are revoked, and each list asks for them all.
        let index = Index::create()
            .name("certificate_by_revocation")
            .table("certificate")
            .col("revoked_at")
            .and_where(Expr::col("revoked_at").is_not_null())
            .to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("revocation_list")
            .col(string("tenant"))
            .col(string("authority"))
            .col(big_integer("number"))
            .col(blob("der"))
            .col(big_integer("this_update"))
            .col(big_integer("next_update"))
            .primary_key(Index::create().col("authority").col("number").col("tenant"))
            .to_owned();
        manager.create_table(table).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["revocation_list", "certificate"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
