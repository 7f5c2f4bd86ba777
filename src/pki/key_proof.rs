//! Whether a signature was made by the key of a certificate: SHA-256 (P-384: SHA-384), PKCS#1 v1.5 for RSA, DER for ECDSA.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};

use crate::certificate;
use crate::key::{self, KeyAlgorithm};

/// Verifies `signature` over `message` with the public key of a certificate (DER).
pub fn verify(certificate: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Some(summary) = certificate::summary(certificate) else { return false };
    let Ok(kind) = key::examine(&summary.subject_public_key_info) else { return false };
    let algorithm: &'static dyn VerificationAlgorithm = match kind {
        KeyAlgorithm::P256 => &ECDSA_P256_SHA256_ASN1,
        KeyAlgorithm::P384 => &ECDSA_P384_SHA384_ASN1,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => &RSA_PKCS1_2048_8192_SHA256,
    };
    UnparsedPublicKey::new(algorithm, &summary.subject_public_key_info).verify(message, signature).is_ok()
}
