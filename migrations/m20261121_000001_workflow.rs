//! Definitions, instances and what the engine keeps of them.

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
            .table("definition")
            .col(string("tenant"))
            .col(string("name"))
            .col(big_integer("version"))
            .col(string("hash"))
            .col(text("source"))
            .col(big_integer("released_at"))
            .primary_key(Index::create().col("name").col("version").col("tenant"))
            .to_owned();
        manager.create_table(table).await?;
        let table = Table::create()
            .table("instance")
            .col(string("tenant"))
            .col(pk_uuid("id"))
            .col(string("workflow"))
            .col(big_integer("version"))
            .col(uuid("root"))
            .col(uuid_null("parent"))
            .col(string("owner"))
            .col(string("requester"))
            .col(string("role"))
            .col(string("state"))
            .col(big_integer("step"))
            .col(string("status"))
            .col(big_integer("revision"))
            .col(string_null("claimed_by"))
            .col(json_binary("document"))
            .col(big_integer("started_at"))
            .col(big_integer("changed_at"))
            .col(big_integer_null("ended_at"))
            .to_owned();
        manager.create_table(table).await?;
        // What selects most stands first, and never the tenant: of that there may be one. No column that every step changes is indexed.
        for (name, columns) in [
            ("instance_by_owner", &["owner", "started_at"][..]),
            ("instance_by_requester", &["requester", "started_at"]),
            ("instance_by_time", &["started_at", "id"]),
            ("instance_by_root", &["root", "started_at", "id"]),
            ("instance_by_parent", &["parent"]),
            ("instance_by_status", &["status", "started_at"]),
        ] {
            let mut index = Index::create().name(name).table("instance").to_owned();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        crate::leave_room(manager, "instance").await?;
        let table = Table::create()
            .table("history")
            .col(string("tenant"))
            .col(uuid("instance"))
            .col(big_integer("revision"))
            .col(big_integer("at"))
            .col(string("event"))
            .col(string("state"))
            .col(big_integer("step"))
            .col(string_null("actor"))
            .col(string_null("role"))
            .col(string_null("detail"))
            .primary_key(Index::create().col("instance").col("revision"))
            .to_owned();
        manager.create_table(table).await?;
        let table = Table::create()
            .table("timer")
            .col(string("tenant"))
            .col(uuid("instance"))
            .col(string("timer"))
            .col(big_integer("step"))
            .col(big_integer("due_at"))
            .primary_key(Index::create().col("instance").col("timer"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("timer_by_due").table("timer").col("due_at").to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("inbox")
            .col(string("tenant"))
            .col(pk_uuid("id"))
            .col(uuid("instance"))
            .col(json_binary("event"))
            .col(big_integer("arrived_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("inbox_by_instance").table("inbox").col("instance").col("id").to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("work")
            .col(string("tenant"))
            .col(pk_uuid("id"))
            .col(uuid("instance"))
            .col(big_integer("step"))
            .col(string("activity"))
            .col(string("definition"))
            .col(json_binary("parameters"))
            .col(json_binary("plan"))
            .col(string_null("lease_owner"))
            .col(big_integer("lease_epoch"))
            .col(big_integer_null("lease_until"))
            .col(big_integer("created_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("work_by_instance").table("work").col("instance").unique().to_owned();
        manager.create_index(index).await?;
        let index = Index::create().name("work_by_lease").table("work").col("lease_until").to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("watch")
            .col(string("tenant"))
            .col(uuid("instance"))
            .col(big_integer("step"))
            .col(string("condition"))
            .col(string_null("about"))
            .primary_key(Index::create().col("instance"))
            .to_owned();
        manager.create_table(table).await?;
        let table = Table::create()
            .table("task")
            .col(string("tenant"))
            .col(uuid("instance"))
            .col(string("role"))
            .primary_key(Index::create().col("instance").col("role"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("task_by_role").table("task").col("role").to_owned();
        manager.create_index(index).await?;
        let table = Table::create()
            .table("hold")
            .col(string("tenant"))
            .col(string("what"))
            .col(string("key"))
            .col(uuid("instance"))
            .primary_key(Index::create().col("key").col("what").col("tenant"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create().name("hold_by_instance").table("hold").col("instance").to_owned();
        manager.create_index(index).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["hold", "task", "watch", "work", "inbox", "timer", "history", "instance", "definition"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
