//! A secret of a card, sealed.

use sea_orm::entity::prelude::*;

use crate::store::cards::{Purpose, SecretState};
use crate::store::database::table;

table! {
    /// A secret of a card, sealed.
    pub struct SealedSecretRecord in "sealed_secret" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub card: Uuid,
        pub purpose: Purpose,
        pub state: SecretState,
        pub key_id: String,
        #[sea_orm(column_type = "Blob")]
        pub nonce: Vec<u8>,
        #[sea_orm(column_type = "Blob")]
        pub ciphertext: Vec<u8>,
        pub created_at: i64,
        pub seen_by_host_at: Option<i64>,
    }
}
