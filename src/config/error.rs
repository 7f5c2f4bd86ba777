//! The errors of a configuration.

use std::path::PathBuf;

use super::environment::OverrideError;
use crate::issuance::MOST_DEPARTURES;

/// An error in the file, in a variable, or in a file that they name.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error("{path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("{path}: {error}")]
    Syntax { path: PathBuf, error: Box<toml::de::Error> },
    #[error(transparent)]
    Override(#[from] OverrideError),
    #[error("synchronization: `keep`, `suspend` or `revoke`")]
    Synchronization,
    #[error("synchronization: `at-most` must be less than {most}", most = MOST_DEPARTURES)]
    AtMost,
    #[error("database: the password belongs in a file that `database-password-file` names")]
    DatabasePassword,
    #[error("server: the addresses must differ")]
    Addresses,
    #[error("server: `{0}` must begin with http:// or https:// and end without a slash")]
    Url(&'static str),
    #[error("server: `public-url` must begin with http://, so that fetching a list needs no certificate")]
    PublicUrl,
    #[error("the profile `{0}` wants RA operators to say yes: `[roles.ra-operator]` is to say who they are")]
    Approval(String),
    #[error("{path}: a security officer's PIN has 4 to 64 characters")]
    SoPin { path: PathBuf },
    #[error("cards: a PIN has 6 to 8 characters, and `minimum-length` is not above `maximum-length`")]
    PinLength,
    #[error("`attestation-required` needs `attestation-authorities-file`")]
    AttestationRequired,
    #[error("{0} holds a secret and is open to every user of this machine: `chmod o= {0}`")]
    Readable(PathBuf),
    #[error("{path} holds no certificate")]
    NoCertificate { path: PathBuf },
}
