//! A hold of an open tree on a person or a card, which no other tree has meanwhile.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A hold of an open tree on a person or a card, which no other tree has meanwhile.
    pub struct HoldRecord in "hold" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub what: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        pub instance: Uuid,
    }
}
