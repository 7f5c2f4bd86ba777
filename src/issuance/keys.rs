//! Rules for keys that ask for a certificate: proof of possession, attestation, compromise and reuse.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealwright_pki::attestation::{Attestation, AttestationError};
use sealwright_pki::request::{Request, RequestError};
use sealwright_protocol::{KeyRequest, Slot};
use uuid::Uuid;

use super::{CertificateHolder, Csr, Finding, Issuance, KeyAlgorithmName, SlotName};
use crate::random;
use crate::store::certificates::Status;
use crate::store::{StoreError, Tx, certificates};

/// Authorities whose attestations of keys are trusted, and whether a key must have one.
#[derive(Clone, Debug, Default)]
pub struct Attestations {
    /// DER. Without any, attestations are not looked at.
    pub authorities: Arc<[Vec<u8>]>,
    pub are_required: bool,
}

/// A key that a card was told to make.
#[derive(Clone, Copy, Debug)]
pub struct NewKey<'a> {
    /// The serial number of the card.
    pub card: &'a str,
    pub slot: SlotName,
    pub algorithm: KeyAlgorithmName,
}

/// A request whose key has proved itself.
#[derive(Clone, Debug)]
pub struct CheckedRequest {
    pub csr: Csr,
    /// The card attests that it made the key and that the key asks for a PIN.
    pub is_attested: bool,
}

/// Why the request of a new key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("another kind of key than asked for")]
    Algorithm,
    /// Nothing else would say that somebody has the key, or that it is on the card.
    #[error("the card does not attest its key")]
    NotAttested,
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    #[error("the key can be used without the PIN")]
    NoPin,
}

impl Attestations {
    /// Checks the request of a new key: its signature or the card's attestation, and the kind of key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn check(
        &self,
        key: &NewKey<'_>,
        request: &KeyRequest,
        attestation: Option<&sealwright_protocol::Attestation>,
    ) -> Result<CheckedRequest, KeyError> {
        let (der, signed) = match request {
            KeyRequest::Signature { csr } => (&csr.0, true),
            KeyRequest::Attestation { public_key } => (&public_key.0, false),
        };
        let csr = Csr { der: STANDARD.encode(der), algorithm: key.algorithm.as_str().to_owned(), signed };
        let request = csr.request()?;
        if request.algorithm().as_str() != csr.algorithm {
            return Err(KeyError::Algorithm);
        }

        let attestation = attestation.filter(|_| !self.authorities.is_empty());
        let Some(attestation) = attestation else {
            return match signed && !self.are_required {
                true => Ok(CheckedRequest { csr, is_attested: false }),
                false => Err(KeyError::NotAttested),
            };
        };
        self.check_attestation(key, &request, attestation)?;
        Ok(CheckedRequest { csr, is_attested: true })
    }

    fn check_attestation(
        &self,
        key: &NewKey<'_>,
        request: &Request,
        attestation: &sealwright_protocol::Attestation,
    ) -> Result<(), KeyError> {
        let slot = key.slot.to_protocol();
        let (certificate, issuer) = (&attestation.certificate.0, &attestation.issuer.0);
        let attested = Attestation::read(certificate, issuer, &self.authorities, slot.as_str())?;
        attested.check(key.card, request.subject_public_key_info())?;

        // The key of card authentication (9E) is used without a PIN; every other one asks.
        if !attested.asks_for_pin && slot != Slot::CARD_AUTHENTICATION {
            return Err(KeyError::NoPin);
        }
        Ok(())
    }
}

/// Whether a key may be certified for a holder; gives its digest, or the finding that forbids it.
///
/// Refuses blocked keys, a key that was certified for somebody else, and a key whose certificate was
/// revoked. `instance` is the one that asks: a repeat finds its own intent, which is no reuse.
///
/// The key is locked until the end of the transaction: of two that ask at once the later one finds what the first
/// has decided.
pub(super) async fn check_use(
    issuance: &Issuance,
    tx: &Tx,
    request: &Request,
    holder: &CertificateHolder,
    instance: Uuid,
) -> Result<Result<String, Finding>, StoreError> {
    let digest = random::digest(request.subject_public_key_info());
    if issuance.is_blocked(&digest) {
        let message = "the key is known to be compromised, or is an authority's own";
        return Ok(Err(Finding::new("blocked-key", message)));
    }

    tx.lock(&format!("key {digest}")).await?;
    for other in certificates::of_key(tx, &digest).await? {
        let is_own = other.instance == instance;
        if other.person != holder.id || (!is_own && other.is(Status::Revoked)) {
            let message = "the key was certified before, for somebody else or until it was revoked";
            return Ok(Err(Finding::new("key-reuse", message)));
        }
    }
    Ok(Ok(digest))
}
