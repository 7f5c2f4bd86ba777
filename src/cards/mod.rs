//! The server's view of a card: who has it, what state it is in, the secrets it carries, and how it is paired with a page.

pub mod management_key;
pub mod objects;
pub mod pairing;
pub mod pairings;
mod presence;
pub mod relay;
pub mod sealing;

use schemars::JsonSchema;
use sealwright_protocol::Management;
use serde::{Deserialize, Serialize};

use crate::store::cards::CardRecord;
pub use crate::store::cards::{CardState, ManagementKind};
use sealing::Purpose;

/// A card as workflows see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Card {
    pub id: String,
    pub serial: String,
    pub state: CardState,
    /// The id of the person who has it.
    pub owner: Option<String>,
    pub has_factory_secrets: bool,
}

impl CardState {
    /// Whether a card in it may be written.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Stock | Self::Assigned)
    }
}

impl Card {
    pub fn from_row(row: &CardRecord, has_factory_secrets: bool) -> Self {
        Self {
            id: row.id.to_string(),
            serial: row.serial.clone(),
            state: row.state,
            owner: row.owner.clone(),
            has_factory_secrets,
        }
    }
}

impl ManagementKind {
    /// What the secret is sealed as.
    pub fn purpose(self) -> Purpose {
        match self {
            Self::ManagementKey(_) => Purpose::ManagementKey,
            Self::SoPin => Purpose::SoPin,
        }
    }
}

impl From<&Management> for ManagementKind {
    fn from(facts: &Management) -> Self {
        match facts {
            Management::ManagementKey { algorithm, .. } => Self::ManagementKey(*algorithm),
            Management::SoPin => Self::SoPin,
        }
    }
}
