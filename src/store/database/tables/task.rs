//! A question of an instance that waits for somebody in a role.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A question of an instance that waits for somebody in a role.
    pub struct TaskRecord in "task" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub instance: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub role: String,
    }
}
