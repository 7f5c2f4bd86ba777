//! Errors of issuing, whoever asks for a certificate.

use sealwright_pki::signer::SignError;

use crate::random::NoRandomness;
use crate::store::StoreError;

/// Why a certificate or a revocation list was not made, or its state not changed.
#[derive(Debug, thiserror::Error)]
pub enum CertificationError {
    #[error("the authority does not sign here")]
    Authority,
    #[error("there is no such profile")]
    Profile,
    #[error("there is no such certificate")]
    Certificate,
    #[error("a stored serial number is not hexadecimal")]
    Serial,
    #[error("a certificate cannot be encoded or read")]
    Encoding,
    /// The findings are in the log.
    #[error("a lint rule is broken")]
    Lint,
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
