//! An event for an instance, left by another one.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// An event for an instance, left by another one.
    pub struct InboxRecord in "inbox" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub instance: Uuid,
        #[sea_orm(column_type = "JsonBinary")]
        pub event: Json,
        pub arrived_at: i64,
    }
}
