//! A key of a request that may be sent twice, and the instance that it was for.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A key of a request that may be sent twice, and the instance that it was for.
    pub struct IdempotencyRecord in "idempotency" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub login: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        pub digest: String,
        pub instance: Uuid,
        pub created_at: i64,
    }
}
