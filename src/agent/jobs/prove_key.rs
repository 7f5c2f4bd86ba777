//! Proof of possession for the key of a certificate.
//!
//! A key that signs, signs the key test text, which the agent builds itself. Another one deciphers
//! a challenge, of which the portal learns a digest and never the plaintext.

use aws_lc_rs::digest::{Context, SHA256};
use sealwright_protocol::{Bytes, KeyAlgorithm, KeyProof, KeyTest, Refusal, Slot, decipher_test, key_test};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::fail_point;
use crate::job::{JobContext, JobFailure};

pub(super) fn prove(
    context: &mut JobContext<'_>,
    slot: Slot,
    certificate: &[u8],
    test: &KeyTest,
) -> Result<KeyProof, JobFailure> {
    fail_point!("agent.prove.before");
    let serial = context.card.serial()?;
    let algorithm = algorithm(certificate).ok_or(JobFailure::Refused(Refusal::Slot))?;
    let proof = match &test.challenge {
        None => {
            let text = key_test(&test.portal, &serial, slot, &test.nonce);
            let signature = context.with_pin(|card, pin| card.sign(pin, slot, algorithm, text.as_bytes()))?;
            KeyProof::Signature { signature: Bytes(signature) }
        }
        Some(challenge) => {
            // Random bytes stand for an invalid ciphertext: the answer does not tell how it was
            // invalid (RFC 8017 section 7.2.2).
            let mut instead = Zeroizing::new([0; 32]);
            aws_lc_rs::rand::fill(instead.as_mut_slice())
                .map_err(|_| Error::say("The system cannot provide random numbers."))?;
            let found = context.with_pin(|card, pin| card.decipher_challenge(pin, slot, algorithm, &challenge.0))?;
            let secret = found.as_ref().map_or(instead.as_slice(), |secret| secret.as_slice());
            let mut digest = Context::new(&SHA256);
            digest.update(decipher_test(&test.portal, &serial, slot, &test.nonce).as_bytes());
            digest.update(secret);
            KeyProof::Secret { digest: Bytes(digest.finish().as_ref().to_vec()) }
        }
    };
    fail_point!("agent.prove.done");
    Ok(proof)
}

/// The key algorithm of a certificate.
fn algorithm(certificate: &[u8]) -> Option<KeyAlgorithm> {
    use x509_parser::prelude::FromDer;
    use x509_parser::public_key::PublicKey;
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    match certificate.public_key().parsed().ok()? {
        PublicKey::EC(point) if point.data().len() == 65 => Some(KeyAlgorithm::P256),
        PublicKey::EC(point) if point.data().len() == 97 => Some(KeyAlgorithm::P384),
        PublicKey::RSA(key) => match key.modulus.iter().skip_while(|byte| **byte == 0).count() {
            256 => Some(KeyAlgorithm::Rsa2048),
            384 => Some(KeyAlgorithm::Rsa3072),
            _ => None,
        },
        _ => None,
    }
}
