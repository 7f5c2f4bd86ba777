//! A key that was made on a card.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// A key that was made on a card.
    pub struct CardKeyRecord in "card_key" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub card: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub slot: String,
        pub algorithm: String,
        pub certificate: Option<Uuid>,
        pub changed_at: i64,
    }
}
