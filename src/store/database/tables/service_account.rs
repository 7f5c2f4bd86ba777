//! A program that may call the API; `token_digest` is the digest of its token.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A program that may call the API; `token_digest` is the digest of its token.
    pub struct ServiceAccountRecord in "service_account" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub role: String,
        pub token_digest: String,
        pub created_at: i64,
        pub revoked_at: Option<i64>,
    }
}
