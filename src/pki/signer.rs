//! Who signs: a public key and `sign(bytes)`. The software key is here; a PKCS#11 key lives in the room `hsm`.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use der::Any;
use der::asn1::ObjectIdentifier;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::key::{self, KeyAlgorithm};

/// How a signature is made (RFC 5758, RFC 4055).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    EcdsaSha256,
    EcdsaSha384,
    RsaSha256,
}

impl SignatureAlgorithm {
    pub(crate) fn identifier(self) -> AlgorithmIdentifierOwned {
        let (oid, parameters) = match self {
            Self::EcdsaSha256 => (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), None),
            Self::EcdsaSha384 => (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), None),
            Self::RsaSha256 => (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), Some(Any::null())),
        };
        AlgorithmIdentifierOwned { oid, parameters }
    }

    /// The algorithm that a key of this kind signs with here.
    pub fn for_key(key: KeyAlgorithm) -> Self {
        match key {
            KeyAlgorithm::P256 => Self::EcdsaSha256,
            KeyAlgorithm::P384 => Self::EcdsaSha384,
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => Self::RsaSha256,
        }
    }

    /// Whether a signature of a message is the one of a key, by its SubjectPublicKeyInfo (DER).
    pub(crate) fn verifies(self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self {
            Self::EcdsaSha256 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaSha384 => &ECDSA_P384_SHA384_ASN1,
            Self::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, public_key).verify(message, signature).is_ok()
    }
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key cannot be reached now; it may be reached later.
    #[error("the key is offline")]
    Offline,
    #[error("the key refused to sign")]
    Refused,
    /// What came back is no signature of this key, and is forgotten.
    #[error("the key gave a wrong signature")]
    Wrong,
}

/// A private key that signs, wherever it is.
pub trait Signer: Send + Sync {
    /// SubjectPublicKeyInfo, DER.
    fn public_key(&self) -> &[u8];

    fn algorithm(&self) -> SignatureAlgorithm;

    /// Signs a message (not a hash); ECDSA signatures are DER (RFC 3279 section 2.2.3).
    ///
    /// # Errors
    /// [`SignError`].
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Signs, and lets the signature out when the public key verifies it: a token may have another private key there than the public one says, and
/// an RSA signature that was computed with a fault gives the key away (Boneh, DeMillo, Lipton, Eurocrypt 1997).
///
/// # Errors
/// [`SignError`]: what the signer says, or that its signature is wrong.
pub fn sign_verified(message: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
    let signature = signer.sign(message)?;
    let is_good = signer.algorithm().verifies(signer.public_key(), message, &signature);
    if is_good { Ok(signature) } else { Err(SignError::Wrong) }
}

/// A key in this process's memory.
pub struct SoftwareKey {
    pair: KeyPair,
    public_key: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

/// The bytes are no private key of a supported kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a private key of a supported kind")]
pub struct UnusableKey;

impl SoftwareKey {
    /// Makes a new key with the provider's own randomness.
    ///
    /// # Errors
    /// [`UnusableKey`] when the provider cannot make this kind.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, UnusableKey> {
        let pair = match algorithm {
            KeyAlgorithm::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyAlgorithm::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyAlgorithm::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_4096),
        };
        Self::new(pair.map_err(|_| UnusableKey)?)
    }

    /// Reads a PKCS#8 key (DER, not encrypted).
    ///
    /// # Errors
    /// [`UnusableKey`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, UnusableKey> {
        Self::new(KeyPair::try_from(pkcs8).map_err(|_| UnusableKey)?)
    }

    pub(crate) fn to_pkcs8(&self) -> zeroize::Zeroizing<Vec<u8>> {
        zeroize::Zeroizing::new(self.pair.serialize_der())
    }

    fn new(pair: KeyPair) -> Result<Self, UnusableKey> {
        let public_key = pair.subject_public_key_info();
        let algorithm = SignatureAlgorithm::for_key(key::examine(&public_key).map_err(|_| UnusableKey)?);
        Ok(Self { pair, public_key, algorithm })
    }
}

impl Signer for SoftwareKey {
    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.pair.sign(message).map_err(|_| SignError::Refused)
    }
}

impl std::fmt::Debug for SoftwareKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SoftwareKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
