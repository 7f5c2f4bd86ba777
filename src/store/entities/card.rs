//! A card that the portal knows.

use sea_orm::entity::prelude::*;

use crate::store::cards::{CardState, ManagementKind};
use crate::store::database::table;

table! {
    /// A card that the portal knows.
    pub struct CardRecord in "card" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub serial: String,
        pub state: CardState,
        pub owner: Option<String>,
        pub owner_login: Option<String>,
        pub management: ManagementKind,
        pub reader: Option<String>,
        pub created_at: i64,
        pub changed_at: i64,
    }
}
