//! A released definition, kept for the instances that began under it.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A released definition, kept for the instances that began under it.
    pub struct DefinitionRecord in "definition" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i64,
        pub hash: String,
        #[sea_orm(column_type = "Text")]
        pub source: String,
        pub released_at: i64,
    }
}
