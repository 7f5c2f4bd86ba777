//! A condition of the world that an instance waits for.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A condition of the world that an instance waits for.
    pub struct WatchRecord in "watch" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub instance: Uuid,
        pub step: i64,
        pub condition: String,
        pub about: Option<String>,
    }
}
