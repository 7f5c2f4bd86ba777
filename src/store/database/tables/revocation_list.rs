//! A signed revocation list.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A signed revocation list.
    pub struct RevocationListRecord in "revocation_list" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub authority: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        #[sea_orm(column_type = "Blob")]
        pub der: Vec<u8>,
        pub this_update: i64,
        pub next_update: i64,
    }
}
