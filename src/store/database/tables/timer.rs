//! A moment at which an instance is told.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A moment at which an instance is told.
    pub struct TimerRecord in "timer" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub instance: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub timer: String,
        pub step: i64,
        pub due_at: i64,
    }
}
