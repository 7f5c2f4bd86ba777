//! A planned activity, claimed by a lease.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A planned activity, claimed by a lease.
    pub struct WorkRecord in "work" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub instance: Uuid,
        pub step: i64,
        pub activity: String,
        /// Workflow and version: a node claims only what it can go on with.
        pub definition: String,
        #[sea_orm(column_type = "JsonBinary")]
        pub parameters: Json,
        #[sea_orm(column_type = "JsonBinary")]
        pub plan: Json,
        pub lease_owner: Option<String>,
        pub lease_epoch: i64,
        pub lease_until: Option<i64>,
        pub created_at: i64,
    }
}
