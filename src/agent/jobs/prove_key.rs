//! The key signs the key test text, which the agent builds itself.

use sealwright_protocol::{Bytes, KeyAlgorithm, Refusal, Report, Slot, key_test};

use super::{Desk, Trouble, with_pin};
use crate::fail_point;

pub fn run(
    desk: &mut Desk<'_>,
    slot: Slot,
    certificate: &[u8],
    portal: &str,
    nonce: &Bytes,
) -> Result<Report, Trouble> {
    fail_point!("agent.prove.before");
    let (serial, algorithm) = present(desk, slot, certificate)?;
    let text = key_test(portal, &serial, slot, nonce);
    let signature = with_pin(desk, |card, pin| card.sign(pin, slot, algorithm, text.as_bytes()))?;
    fail_point!("agent.prove.done");
    Ok(Report::Proved { signature: Bytes(signature) })
}

/// The card's serial number and the kind of the slot's key, if the slot holds this certificate.
pub(super) fn present(desk: &mut Desk<'_>, slot: Slot, certificate: &[u8]) -> Result<(String, KeyAlgorithm), Trouble> {
    let (serial, present) = (desk.card.serial()?, desk.card.certificate(slot)?);
    if present.as_deref() != Some(certificate) {
        return Err(Trouble::Refused(Refusal::Slot));
    }
    let algorithm = algorithm(certificate).ok_or(Trouble::Refused(Refusal::Slot))?;
    Ok((serial, algorithm))
}

/// The kind of key that a certificate is for.
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
