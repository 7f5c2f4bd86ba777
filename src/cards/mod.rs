//! The server's view of a card: who has it, what state it is in, the secrets it carries, and how it is paired with a page.

pub mod management_key;
pub mod objects;
pub mod pairing;
pub mod pairings;
pub mod relay;
pub mod sealing;

use schemars::JsonSchema;
use sealwright_protocol::{Management, ManagementKeyAlgorithm};
use serde::{Deserialize, Serialize};

use crate::store::cards::CardRow;
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

/// Where a card is in its life.
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

impl CardState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Assigned => "assigned",
            Self::Lost => "lost",
            Self::Stolen => "stolen",
            Self::Damaged => "damaged",
            Self::Terminated => "terminated",
            Self::Foreign => "foreign",
        }
    }

    /// Whether a card in it may be written.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Stock | Self::Assigned)
    }

    /// The state of a database value; what is not known is not to be written.
    pub fn from_word(word: &str) -> Self {
        [Self::Stock, Self::Assigned, Self::Lost, Self::Stolen, Self::Damaged, Self::Terminated]
            .into_iter()
            .find(|state| state.as_str() == word)
            .unwrap_or(Self::Foreign)
    }
}

impl Card {
    pub fn from_row(row: &CardRow, has_factory_secrets: bool) -> Self {
        Self {
            id: row.id.to_string(),
            serial: row.serial.clone(),
            state: CardState::from_word(&row.state),
            owner: row.owner.clone(),
            has_factory_secrets,
        }
    }
}

/// What kind of secret a card is managed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManagementKind {
    /// PIV 9B.
    ManagementKey(ManagementKeyAlgorithm),
    /// The security officer's PIN of a PKCS#11 token.
    SoPin,
}

impl ManagementKind {
    const ALL: [Self; 5] = [
        Self::ManagementKey(ManagementKeyAlgorithm::TripleDes),
        Self::ManagementKey(ManagementKeyAlgorithm::Aes128),
        Self::ManagementKey(ManagementKeyAlgorithm::Aes192),
        Self::ManagementKey(ManagementKeyAlgorithm::Aes256),
        Self::SoPin,
    ];

    /// The word that the database keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ManagementKey(ManagementKeyAlgorithm::TripleDes) => "tdes",
            Self::ManagementKey(ManagementKeyAlgorithm::Aes128) => "aes-128",
            Self::ManagementKey(ManagementKeyAlgorithm::Aes192) => "aes-192",
            Self::ManagementKey(ManagementKeyAlgorithm::Aes256) => "aes-256",
            Self::SoPin => "so-pin",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

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
