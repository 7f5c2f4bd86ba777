//! A secret of a card, sealed.

use sea_orm::entity::prelude::*;

use crate::store::database::{stored_as_word, table};

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

/// Purpose of a card's sealed secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Puk,
    ManagementKey,
    /// The security officer's PIN of a PKCS#11 token.
    SoPin,
}

stored_as_word!(Purpose of "sealed_secret" {
    Puk = "puk",
    ManagementKey = "management-key",
    SoPin = "so-pin",
});

/// State of a sealed secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretState {
    /// To be set; it may be on the card already.
    Pending,
    /// On the card.
    Confirmed,
    /// On the card before another one.
    Superseded,
}

stored_as_word!(SecretState of "sealed_secret" {
    Pending = "pending",
    Confirmed = "confirmed",
    Superseded = "superseded",
});
