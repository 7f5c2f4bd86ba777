//! An audited event; `sequence` is given when it is sealed.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// An audited event; `sequence` is given when it is sealed.
    pub struct AuditRecord in "audit" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub at: i64,
        pub event: String,
        pub role: Option<String>,
        pub instance: Option<Uuid>,
        pub request: String,
        /// This and the next three are gone once the record is erased.
        pub actor: Option<String>,
        pub address: Option<String>,
        #[sea_orm(column_type = "JsonBinary", nullable)]
        pub detail: Option<Json>,
        /// Random, so that the digest tells nothing once the rest is gone.
        pub salt: Option<String>,
        /// The digest of the four above: what the chain covers of them.
        pub personal: String,
        pub sequence: Option<i64>,
    }
}
