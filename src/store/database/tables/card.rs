//! A card that the portal knows.

use schemars::JsonSchema;
use sea_orm::entity::prelude::*;
use sealwright_protocol::ManagementKeyAlgorithm;
use serde::{Deserialize, Serialize};

use crate::store::database::{stored_as_word, table};

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

/// State of a card in its life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CardState {
    /// Blank and nobody's yet.
    Stock,
    /// Somebody's.
    Assigned,
    Lost,
    Stolen,
    Damaged,
    Terminated,
    /// Not known here, and not to be written: it carries somebody's certificates or is not in stock.
    Foreign,
}

stored_as_word!(CardState of "card" otherwise Foreign {
    Stock = "stock",
    Assigned = "assigned",
    Lost = "lost",
    Stolen = "stolen",
    Damaged = "damaged",
    Terminated = "terminated",
    Foreign = "foreign",
});

/// Kind of the secret that a card is managed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManagementKind {
    /// PIV 9B.
    ManagementKey(ManagementKeyAlgorithm),
    /// The security officer's PIN of a PKCS#11 token.
    SoPin,
}

stored_as_word!(ManagementKind of "card" {
    ManagementKey(ManagementKeyAlgorithm::TripleDes) = "tdes",
    ManagementKey(ManagementKeyAlgorithm::Aes128) = "aes-128",
    ManagementKey(ManagementKeyAlgorithm::Aes192) = "aes-192",
    ManagementKey(ManagementKeyAlgorithm::Aes256) = "aes-256",
    SoPin = "so-pin",
});
