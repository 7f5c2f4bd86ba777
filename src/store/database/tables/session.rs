//! A browser session; `id` is the digest of the cookie.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A browser session; `id` is the digest of the cookie.
    pub struct SessionRecord in "session" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub login: String,
        pub role: Option<String>,
        pub csrf: String,
        pub created_at: i64,
        pub seen_at: i64,
        pub role_checked_at: Option<i64>,
        pub role_unanswered_at: Option<i64>,
    }
}
