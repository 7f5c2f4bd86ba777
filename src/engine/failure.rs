//! Failures of activities and card jobs: their classes, and whether another attempt can help.

use crate::store::{StoreError, WriteError};

/// The class of a failure, as `retry`, the history and the page of a stuck instance name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The directory cannot be reached, or refuses the portal.
    Unavailable,
    /// The directory did not answer in time.
    Timeout,
    /// The directory answered with a part of the result: a referral, a limit, a missing page.
    Partial,
    /// The signer of an authority returned an error other than being offline.
    Signer,
    /// Another revocation list of the authority was recorded while this one was signed.
    Overtaken,
    /// The configuration has no such authority, or none that signs here.
    Authority,
    /// The configuration has no such certificate profile.
    Profile,
    /// The inventory has no such card, or does not know how it is managed.
    Card,
    /// The database has no such certificate, or not the DER of one that was signed.
    Certificate,
    /// The stored serial number of a certificate is not hexadecimal.
    Serial,
    /// A certificate cannot be encoded, or its encoding cannot be read.
    Encoding,
    /// A certificate or revocation list breaks a lint rule.
    Lint,
    /// A signature does not verify with the authority's public key.
    Signature,
    /// The slot of a card holds a certificate in use, which is never overwritten.
    Occupied,
    /// A secret of a card is missing, or does not open with the sealing key.
    Secret,
    /// The system has no random numbers.
    Randomness,
    /// Stored values do not have the types of this release.
    Types,
    /// The planned step of an activity that plans none: a row of another release.
    Plan,
}

impl FailureClass {
    /// The word in workflows and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Partial => "partial",
            Self::Signer => "signer",
            Self::Overtaken => "overtaken",
            Self::Authority => "authority",
            Self::Profile => "profile",
            Self::Card => "card",
            Self::Certificate => "certificate",
            Self::Serial => "serial",
            Self::Encoding => "encoding",
            Self::Lint => "lint",
            Self::Signature => "signature",
            Self::Occupied => "occupied",
            Self::Secret => "secret",
            Self::Randomness => "randomness",
            Self::Types => "types",
            Self::Plan => "plan",
        }
    }
}

impl std::fmt::Display for FailureClass {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Why a part of an activity came to no outcome. The caller of the failing operation decides which.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Another attempt may succeed.
    ///
    /// It is made if the workflow's `retry` names the class and has attempts left; else this is as [`Failure::Fail`].
    #[error("{0}")]
    Retry(FailureClass),
    /// Another attempt would fail too: the instance is stuck until somebody repairs it.
    #[error("{0}")]
    Fail(FailureClass),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WriteError for Failure {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
