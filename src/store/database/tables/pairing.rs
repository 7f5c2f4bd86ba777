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
        /// The last refresh of the lease by the node that the agent is connected to.
        pub seen_at: Option<i64>,
        /// The end of the agent's last connection; none while it is connected.
        pub gone_at: Option<i64>,
        pub ended_by: Option<PairingEnd>,
        /// Capabilities that agent and portal share.
        #[sea_orm(column_type = "JsonBinary", nullable)]
        pub capabilities: Option<Json>,
    }
}

/// The reason for which a pairing ended before it was confirmed; none where a new code was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairingEnd {
    /// The person at the agent refused the number.
    Declined,
    /// The connection broke. An agent whose confirmation was lost with it may come back.
    Broken,
}

stored_as_word!(PairingEnd of "pairing" {
    Declined = "declined",
    Broken = "broken",
});

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
