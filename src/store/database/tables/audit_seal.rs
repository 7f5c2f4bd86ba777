//! A link of the audit chain.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A link of the audit chain.
    pub struct SealRecord in "audit_seal" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub sequence: i64,
        pub audit: Uuid,
        pub hash: String,
        pub sealed_at: i64,
    }
}
