//! Public keys: which ones a certificate may have, and the weak ones that it may not.

mod fermat;
mod prime;
mod roca;

use der::asn1::{AnyRef, UintRef};
use der::{Decode, Sequence};
use serde::{Deserialize, Serialize};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// The key algorithms that a profile may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    #[serde(rename = "p-256")]
    P256,
    #[serde(rename = "p-384")]
    P384,
}

impl KeyAlgorithm {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::P256 => "p-256",
            Self::P384 => "p-384",
        }
    }

    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }
}

/// Why a public key may not be certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    #[error("the public key cannot be read")]
    Unreadable,
    #[error("the key is of a kind that is not certified here")]
    UnknownAlgorithm,
    #[error("the RSA modulus is too short or of an unusual length")]
    RsaLength,
    #[error("the RSA modulus is even or prime, or has a small factor")]
    RsaModulus,
    #[error("the RSA exponent is not 65537, the only one that is certified here")]
    RsaExponent,
    #[error("the RSA key is of a generator whose keys can be factored (CVE-2017-15361)")]
    Roca,
    #[error("the RSA key has primes that are too close together")]
    Fermat,
    #[error("the point is not on its curve")]
    NotOnCurve,
}

const RSA_ENCRYPTION: &str = "1.2.840.113549.1.1.1";
const EC_PUBLIC_KEY: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";

/// Reads a SubjectPublicKeyInfo (DER) and refuses weak keys. A key has one writing alone: it is known by the digest of these bytes.
///
/// # Errors
/// The first [`WeakKey`] found.
pub fn examine(subject_public_key_info: &[u8]) -> Result<KeyAlgorithm, WeakKey> {
    let info = SubjectPublicKeyInfoRef::from_der(subject_public_key_info).map_err(|_| WeakKey::Unreadable)?;
    let key = info.subject_public_key.as_bytes().ok_or(WeakKey::Unreadable)?;
    match info.algorithm.oid.to_string().as_str() {
        RSA_ENCRYPTION => {
            // RFC 3279 section 2.3.1: the parameters are NULL.
            if info.algorithm.parameters != Some(AnyRef::NULL) {
                return Err(WeakKey::Unreadable);
            }
            let key = RsaPublicKey::from_der(key).map_err(|_| WeakKey::Unreadable)?;
            rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
        }
        EC_PUBLIC_KEY => {
            let curve = info.algorithm.parameters_oid().map_err(|_| WeakKey::UnknownAlgorithm)?;
            match curve.to_string().as_str() {
                P256 => on_curve(&aws_lc_rs::agreement::ECDH_P256, key, 65).map(|()| KeyAlgorithm::P256),
                P384 => on_curve(&aws_lc_rs::agreement::ECDH_P384, key, 97).map(|()| KeyAlgorithm::P384),
                _ => Err(WeakKey::UnknownAlgorithm),
            }
        }
        _ => Err(WeakKey::UnknownAlgorithm),
    }
}

/// RFC 8017 appendix A.1.1; numbers in their shortest form alone.
#[derive(Debug, Sequence)]
pub struct RsaPublicKey<'a> {
    pub modulus: UintRef<'a>,
    pub public_exponent: UintRef<'a>,
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<KeyAlgorithm, WeakKey> {
    let first = modulus.first().copied().ok_or(WeakKey::Unreadable)?;
    let algorithm = match (modulus.len(), first & 0x80 != 0) {
        (256, true) => KeyAlgorithm::Rsa2048,
        (384, true) => KeyAlgorithm::Rsa3072,
        (512, true) => KeyAlgorithm::Rsa4096,
        _ => return Err(WeakKey::RsaLength),
    };
    if prime::has_small_factor(modulus) {
        return Err(WeakKey::RsaModulus);
    }
    // Cards' keys have no other one (SP 800-78-5 section 3.1), and the same modulus with another one would be a key that nobody knows again.
    if exponent != [1, 0, 1] {
        return Err(WeakKey::RsaExponent);
    }
    if roca::has_fingerprint(modulus) {
        return Err(WeakKey::Roca);
    }
    if fermat::is_factored(modulus) {
        return Err(WeakKey::Fermat);
    }
    if prime::is_prime(modulus) {
        return Err(WeakKey::RsaModulus);
    }
    Ok(algorithm)
}

/// The library checks the point when it parses it for a key agreement.
fn on_curve(algorithm: &'static aws_lc_rs::agreement::Algorithm, point: &[u8], length: usize) -> Result<(), WeakKey> {
    if point.len() != length || point.first() != Some(&4) {
        return Err(WeakKey::NotOnCurve);
    }
    let point = aws_lc_rs::agreement::UnparsedPublicKey::new(algorithm, point);
    aws_lc_rs::agreement::ParsedPublicKey::try_from(&point).map(drop).map_err(|_| WeakKey::NotOnCurve)
}
