//! Certification requests: PKCS#10 (RFC 2986), of which proof of possession and the key are taken and nothing else, or a key that its card attests.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::key::{self, KeyAlgorithm, WeakKey};

/// The largest request in bytes: RSA-4096 needs about 1.3 kB.
pub const MAXIMUM_SIZE: usize = 8 * 1024;

/// A checked request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    subject_public_key_info: Vec<u8>,
    algorithm: KeyAlgorithm,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("the request is larger than {MAXIMUM_SIZE} bytes")]
    TooLarge,
    #[error("the request is no PKCS#10 structure in DER")]
    Unreadable,
    #[error("the request is signed with an algorithm that is not accepted")]
    SignatureAlgorithm,
    #[error("the request's signature does not prove possession of the key")]
    Signature,
    #[error(transparent)]
    Key(#[from] WeakKey),
}

/// ecdsa-with-SHA256, ecdsa-with-SHA384, sha256WithRSAEncryption: SHA-1 and MD5 are not among them.
const SIGNATURES: [&str; 3] = ["1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.113549.1.1.11"];

impl Request {
    /// Reads and checks a request (DER).
    ///
    /// # Errors
    /// The first [`RequestError`] found.
    pub fn read(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MAXIMUM_SIZE {
            return Err(RequestError::TooLarge);
        }
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| RequestError::Unreadable)?;
        if !rest.is_empty() || request.signature_value.unused_bits != 0 {
            return Err(RequestError::Unreadable);
        }
        let signature = request.signature_algorithm.algorithm.to_id_string();
        if !SIGNATURES.contains(&signature.as_str()) {
            return Err(RequestError::SignatureAlgorithm);
        }
        let subject_public_key_info = request.certification_request_info.subject_pki.raw.to_vec();
        let algorithm = key::examine(&subject_public_key_info)?;
        request.verify_signature().map_err(|_| RequestError::Signature)?;
        Ok(Self { subject_public_key_info, algorithm })
    }

    /// A key that its card attests, and that need not sign for itself: some keys cannot. The key is checked all the same.
    ///
    /// # Errors
    /// [`RequestError::Key`].
    pub fn attested(subject_public_key_info: &[u8]) -> Result<Self, RequestError> {
        let algorithm = key::examine(subject_public_key_info)?;
        Ok(Self { subject_public_key_info: subject_public_key_info.to_vec(), algorithm })
    }

    /// SubjectPublicKeyInfo, DER, as the request carried it.
    pub fn subject_public_key_info(&self) -> &[u8] {
        &self.subject_public_key_info
    }

    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }
}
