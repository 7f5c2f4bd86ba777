//! Whether somebody has the key of a certificate: by a signature, or, for a key that is not to sign, by a secret that it alone finds out.
//!
//! A signature is of SHA-256 (P-384: SHA-384), PKCS#1 v1.5 for RSA, DER for ECDSA. A secret is deciphered (RSAES-PKCS1-v1_5, RFC 8017 section 7.2) or
//! agreed (ECDH, SP 800-56A section 5.7.1.2: the x coordinate).

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, EphemeralPrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{Pkcs1PublicEncryptingKey, PublicEncryptingKey};

use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::certificate;
use crate::key::{self, KeyAlgorithm};
use crate::signer::SignatureAlgorithm;

/// Verifies `signature` over `message` with the public key of a certificate (DER).
pub fn verify(certificate: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Some(summary) = certificate::summary(certificate) else { return false };
    let Ok(kind) = key::examine(&summary.subject_public_key_info) else { return false };
    SignatureAlgorithm::for_key(kind).verifies(&summary.subject_public_key_info, message, signature)
}

/// Whether a certificate (DER) allows its key to sign.
pub fn may_sign(certificate: &[u8]) -> bool {
    let Ok((_, parsed)) = x509_parser::certificate::X509Certificate::from_der(certificate) else { return false };
    match parsed.key_usage() {
        Ok(Some(usage)) => usage.value.digital_signature() || usage.value.non_repudiation(),
        _ => false,
    }
}

/// Something that the key of a certificate turns into a secret, and nobody else does.
#[derive(Debug)]
pub struct Challenge {
    /// A ciphertext, or an ephemeral public key as an uncompressed point.
    pub sent: Vec<u8>,
    pub secret: Zeroizing<Vec<u8>>,
}

/// A challenge for the key of a certificate (DER); `random` is the secret where the key deciphers. `None` for a key that can do neither.
pub fn challenge(certificate: &[u8], random: &[u8; 32]) -> Option<Challenge> {
    let summary = certificate::summary(certificate)?;
    let kind = key::examine(&summary.subject_public_key_info).ok()?;
    let agreement = match kind {
        KeyAlgorithm::P256 => &ECDH_P256,
        KeyAlgorithm::P384 => &ECDH_P384,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            let key = PublicEncryptingKey::from_der(&summary.subject_public_key_info).ok()?;
            let key = Pkcs1PublicEncryptingKey::new(key).ok()?;
            let mut sent = vec![0; key.ciphertext_size()];
            key.encrypt(random, &mut sent).ok()?;
            return Some(Challenge { sent, secret: Zeroizing::new(random.to_vec()) });
        }
    };
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    let point = parsed.public_key().subject_public_key.data.to_vec();
    let own = EphemeralPrivateKey::generate(agreement, &SystemRandom::new()).ok()?;
    let sent = own.compute_public_key().ok()?.as_ref().to_vec();
    let peer = agreement::UnparsedPublicKey::new(agreement, point);
    let secret = agreement::agree_ephemeral(own, &peer, (), |secret| Ok(Zeroizing::new(secret.to_vec()))).ok()?;
    Some(Challenge { sent, secret })
}
