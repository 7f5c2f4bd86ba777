//! Attestation of PIV keys as Yubico's cards do it: a certificate over a slot's key, signed by the card's own attestation key (F9), whose
//! certificate a vendor's authority has signed. It tells that the key was made on the card, on which one, and what it asks for before it is used
//! (Yubico, "PIV attestation").

use der::Decode;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::oid;
use x509_parser::der_parser::oid::Oid;
use x509_parser::prelude::FromDer;

use crate::encoding::Signed;
use crate::key;

/// The largest certificate of an attestation in bytes.
pub const MAXIMUM_SIZE: usize = 4 * 1024;

const SERIAL_NUMBER: Oid<'_> = oid!(1.3.6.1.4.1.41482.3.7);
const POLICY: Oid<'_> = oid!(1.3.6.1.4.1.41482.3.8);

/// What a card says of a key that it has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// SubjectPublicKeyInfo, DER.
    pub subject_public_key_info: Vec<u8>,
    /// The card's serial number, where it is told.
    pub serial: Option<u64>,
    /// The key is used after the PIN alone: once a session, or each time.
    pub asks_for_pin: bool,
}

/// Why an attestation is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    #[error("the attestation cannot be read")]
    Unreadable,
    #[error("the attestation does not lead to an authority that is trusted for it")]
    Untrusted,
    #[error("the attestation is of another slot")]
    Slot,
    #[error("the attestation is of another card")]
    Card,
    #[error("the attestation is of another key")]
    Key,
    #[error(transparent)]
    WeakKey(#[from] key::WeakKey),
}

impl Attestation {
    /// Reads the attestation of a slot (`9a`, `9c`, …) and the certificate of the card's attestation key, and follows them to one of `authorities`
    /// (all DER). Dates are not looked at: a card has no clock, and what it attests does not end.
    ///
    /// # Errors
    /// [`AttestationError`].
    pub fn read(
        certificate: &[u8],
        issuer: &[u8],
        authorities: &[Vec<u8>],
        slot: &str,
    ) -> Result<Self, AttestationError> {
        let (attested, issuer) = (parse(certificate)?, parse(issuer)?);
        // Else any key of the card could attest others.
        let may_attest = issuer.is_ca();
        let is_known = authorities
            .iter()
            .filter_map(|authority| X509Certificate::from_der(authority).ok())
            .any(|(_, authority)| authority.subject() == issuer.issuer() && signed(&issuer, &authority));
        if !may_attest || !is_known || attested.issuer() != issuer.subject() || !signed(&attested, &issuer) {
            return Err(AttestationError::Untrusted);
        }
        let name = attested.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default();
        if name.rsplit(' ').next().is_none_or(|named| !named.eq_ignore_ascii_case(slot)) {
            return Err(AttestationError::Slot);
        }
        let subject_public_key_info = attested.public_key().raw.to_vec();
        key::examine(&subject_public_key_info)?;
        let extension = |id: &Oid<'_>| attested.get_extension_unique(id).ok().flatten().map(|found| found.value);
        let serial = extension(&SERIAL_NUMBER).map(integer).transpose()?;
        // PIN policy 1 is never; the second byte is about touch.
        let asks_for_pin = extension(&POLICY).is_some_and(|policy| matches!(policy, [2 | 3, _]));
        Ok(Self { subject_public_key_info, serial, asks_for_pin })
    }

    /// Checks that it is of this card, if it tells one, and of this key.
    ///
    /// # Errors
    /// [`AttestationError::Card`], [`AttestationError::Key`].
    pub fn check(&self, card: &str, subject_public_key_info: &[u8]) -> Result<(), AttestationError> {
        if self.serial.is_some_and(|serial| serial.to_string() != card) {
            return Err(AttestationError::Card);
        }
        if self.subject_public_key_info != subject_public_key_info {
            return Err(AttestationError::Key);
        }
        Ok(())
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, AttestationError> {
    if der.len() > MAXIMUM_SIZE {
        return Err(AttestationError::Unreadable);
    }
    // x509-parser takes other tags around what is signed, and unused bits; der does not.
    let frame = Signed::from_der(der).map_err(|_| AttestationError::Unreadable)?;
    match X509Certificate::from_der(der) {
        // RFC 5280, 4.1.1.2: both name the same algorithm.
        Ok(([], certificate))
            if frame.signature.as_bytes().is_some()
                && certificate.signature_algorithm == certificate.tbs_certificate.signature =>
        {
            Ok(certificate)
        }
        _ => Err(AttestationError::Unreadable),
    }
}

fn signed(certificate: &X509Certificate<'_>, by: &X509Certificate<'_>) -> bool {
    certificate.verify_signature(Some(by.public_key())).is_ok()
}

/// A DER INTEGER of up to eight bytes.
fn integer(der: &[u8]) -> Result<u64, AttestationError> {
    match der {
        [2, length @ 1..=8, bytes @ ..] if bytes.len() == usize::from(*length) => {
            Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        }
        _ => Err(AttestationError::Unreadable),
    }
}
