//! A step of an instance, as its history tells it.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A step of an instance, as its history tells it.
    pub struct HistoryRecord in "history" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub instance: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub revision: i64,
        pub at: i64,
        pub event: String,
        pub state: String,
        pub step: i64,
        pub actor: Option<String>,
        pub role: Option<String>,
        pub detail: Option<String>,
    }
}
