//! People who have left, and what is done with their certificates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;

/// Departures that one comparison gives, at most; the next one finds the rest. A CA operator is asked of fewer.
pub const MOST_DEPARTURES: usize = 1_000;

/// What is done about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DepartureAction {
    Keep,
    Suspend,
    Revoke,
    /// Suspended certificates are valid again.
    Reinstate,
}

/// What has become of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DepartureKind {
    /// The directory does not have the person any more.
    Gone,
    Disabled,
    /// A certificate names the person otherwise than the directory does.
    Moved,
    /// Here again, with suspended certificates.
    Back,
}

/// Somebody whose certificates are no longer as they should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Departure {
    /// The id of the person.
    pub person: String,
    pub login: String,
    pub kind: DepartureKind,
    pub action: DepartureAction,
    pub reason: Reason,
}

impl DepartureKind {
    /// Why certificates are revoked then.
    pub fn reason(self) -> Reason {
        match self {
            Self::Gone => Reason::CessationOfOperation,
            Self::Disabled => Reason::PrivilegeWithdrawn,
            Self::Moved => Reason::AffiliationChanged,
            Self::Back => Reason::Unspecified,
        }
    }
}
