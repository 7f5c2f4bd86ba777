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

    const ALL: [Self; 18] = [
        Self::Unavailable,
        Self::Timeout,
        Self::Partial,
        Self::Signer,
        Self::Overtaken,
        Self::Authority,
        Self::Profile,
        Self::Card,
        Self::Certificate,
        Self::Serial,
        Self::Encoding,
        Self::Lint,
        Self::Signature,
        Self::Occupied,
        Self::Secret,
        Self::Randomness,
        Self::Types,
        Self::Plan,
    ];

    /// The class of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// What is wrong, in words for everybody, without a full stop; and what an operator does about it.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Unavailable => (
                "The directory does not answer, or refuses the portal",
                "See that its servers run, can be reached from here, and accept the portal's account.",
            ),
            Self::Timeout => {
                ("The directory does not answer in time", "See how busy its servers and the network to them are.")
            }
            Self::Partial => (
                "The directory gives a part of its answer only",
                "See that it sends the portal no referrals and sets it no limits.",
            ),
            Self::Signer => {
                ("The certification authority's key reports an error", "See that its token or module works.")
            }
            Self::Overtaken => ("Another revocation list was published at the same time", "Nothing has to be mended."),
            Self::Authority => (
                "The configuration has no such certification authority, or none that signs here",
                "Compare the configuration with the one that this was begun under.",
            ),
            Self::Profile => (
                "The configuration has no such certificate profile",
                "Compare the configuration with the one that this was begun under.",
            ),
            Self::Card => {
                ("The inventory has no such card, or does not know how it is managed", "See what is known of the card.")
            }
            Self::Certificate => ("The database has no such certificate", "Compare the database with its backup."),
            Self::Serial => ("A stored serial number cannot be read", "Compare the database with its backup."),
            Self::Encoding => ("A certificate cannot be written or read", "See the certificate's profile and the log."),
            Self::Lint => (
                "A certificate or revocation list would break a rule",
                "The log says which; mend the profile or the authority.",
            ),
            Self::Signature => (
                "A signature does not verify with the certification authority's key",
                "See that the key in use belongs to the authority's certificate.",
            ),
            Self::Occupied => (
                "The card holds a certificate in use, which is never overwritten",
                "Revoke that one first, or end this.",
            ),
            Self::Secret => (
                "A secret of the card is missing, or does not open with the sealing key",
                "See that the sealing key is the one that the secret was sealed with.",
            ),
            Self::Randomness => ("The system has no random numbers", "See to the portal's computer."),
            Self::Types => (
                "What is stored does not fit this release",
                "See which releases run on the nodes, and whether the database was edited.",
            ),
            Self::Plan => {
                ("What was planned by another release cannot be carried out", "See which releases run on the nodes.")
            }
        }
    }
}

/// The words of what an instance is stuck for: a class, or an outcome that its version does not know.
pub fn in_words(class: &str) -> (&'static str, &'static str) {
    let unknown = (
        "A step came to a result that this version of the workflow does not know",
        "Try again with the release that this was begun under, or end it.",
    );
    FailureClass::from_word(class).map_or(unknown, FailureClass::words)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_own_word_and_sentences_without_it() {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::from_word(class.as_str()), Some(class));
            let (cause, advice) = class.words();
            assert!(!cause.ends_with('.') && advice.ends_with('.'), "{class}: {cause} {advice}");
        }
        assert!(in_words("outcome").0.contains("result"));
    }
}
