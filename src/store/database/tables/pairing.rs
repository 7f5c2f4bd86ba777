//! An agent and a person's page, from the code on.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::store::database::{stored_as_word, table};

table! {
    /// An agent and a person's page, from the code on.
    pub struct PairingRecord in "pairing" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub root: Uuid,
        pub session: String,
        pub login: String,
        pub code_hash: String,
        pub short_code_hash: String,
        pub expires_at: i64,
        pub state: PairingState,
        pub host: Option<String>,
        #[sea_orm(column_type = "Blob", nullable)]
        pub agent_key: Option<Vec<u8>>,
        #[sea_orm(column_type = "JsonBinary", nullable)]
        pub readers: Option<Json>,
        pub number: Option<String>,
        pub confirmed_by_person: bool,
        pub confirmed_by_agent: bool,
        pub epoch: i64,
        pub node: Option<String>,
        pub created_at: i64,
    }
}

/// State of a pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairingState {
    Offered,
    Redeemed,
    Confirmed,
    Ended,
}

stored_as_word!(PairingState of "pairing" {
    Offered = "offered",
    Redeemed = "redeemed",
    Confirmed = "confirmed",
    Ended = "ended",
});
