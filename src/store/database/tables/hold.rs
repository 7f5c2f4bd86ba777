//! What an open instance holds against every other one.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// What an open instance holds against every other one.
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
