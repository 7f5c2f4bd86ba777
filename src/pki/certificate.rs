//! Signed certificates: what the portal shows of them, and PEM.

use data_encoding::HEXLOWER;
use time::OffsetDateTime;
use x509_parser::prelude::FromDer;

/// What people and tables want to know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Hexadecimal, without leading zeros.
    pub serial: String,
    /// RFC 4514 text.
    pub subject: String,
    pub issuer: String,
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    /// SHA-256 of the DER, hexadecimal.
    pub fingerprint: String,
    /// SubjectPublicKeyInfo, DER.
    pub subject_public_key_info: Vec<u8>,
}

/// Reads a certificate (DER); `None` for anything else.
pub fn summary(der: &[u8]) -> Option<Summary> {
    let (rest, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    Some(Summary {
        serial: HEXLOWER.encode(certificate.raw_serial()).trim_start_matches('0').to_owned(),
        subject: crate::name::to_text(certificate.subject().as_raw()),
        issuer: crate::name::to_text(certificate.issuer().as_raw()),
        not_before: OffsetDateTime::from_unix_timestamp(certificate.validity().not_before.timestamp()).ok()?,
        not_after: OffsetDateTime::from_unix_timestamp(certificate.validity().not_after.timestamp()).ok()?,
        fingerprint: HEXLOWER.encode(digest.as_ref()),
        subject_public_key_info: certificate.public_key().raw.to_vec(),
    })
}

/// PEM (RFC 7468) of a DER structure.
pub fn pem(label: &str, der: &[u8]) -> String {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap_or_default()
}

/// The DER structures with this label in a PEM text.
pub fn from_pem(label: &str, text: &str) -> Vec<Vec<u8>> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    text.split(begin.as_str())
        .skip(1)
        .filter_map(|part| part.split(end.as_str()).next())
        .filter_map(|body| {
            let whole = format!("{begin}{}{end}\n", body);
            der::pem::decode_vec(whole.as_bytes()).ok().map(|(_, der)| der)
        })
        .collect()
}
