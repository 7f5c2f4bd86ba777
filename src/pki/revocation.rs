//! Revocation lists (RFC 5280 section 5).

use der::oid::AssociatedOid;
use der::{Any, Decode, Encode};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use x509_cert::Version;
use x509_cert::ext::pkix::{CrlNumber, CrlReason};
use x509_cert::serial_number::SerialNumber;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::authority::{Authority, sign};
use crate::encoding::{RevokedEntry, ToBeSignedList, moment};
use crate::extension::{authority_key_identifier, extension};
use crate::lint::{self, Finding};
use crate::signer::{SignError, Signer};

/// Why a certificate was revoked (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    Unspecified,
    KeyCompromise,
    /// Of an authority's own certificate.
    CaCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
    /// For now: the certificate may come off the list again.
    CertificateHold,
}

impl RevocationReason {
    /// Every reason with its word and the code of its extension.
    const ALL: [(Self, &'static str, CrlReason); 8] = [
        (Self::Unspecified, "unspecified", CrlReason::Unspecified),
        (Self::KeyCompromise, "key-compromise", CrlReason::KeyCompromise),
        (Self::CaCompromise, "ca-compromise", CrlReason::CaCompromise),
        (Self::AffiliationChanged, "affiliation-changed", CrlReason::AffiliationChanged),
        (Self::Superseded, "superseded", CrlReason::Superseded),
        (Self::CessationOfOperation, "cessation-of-operation", CrlReason::CessationOfOperation),
        (Self::PrivilegeWithdrawn, "privilege-withdrawn", CrlReason::PrivilegeWithdrawn),
        (Self::CertificateHold, "certificate-hold", CrlReason::CertificateHold),
    ];

    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(reason, ..)| *reason == self).map_or("unspecified", |(_, word, _)| word)
    }

    /// The reason of a word; of one that is not known, unspecified.
    pub fn from_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|(_, known, _)| *known == word).map_or(Self::Unspecified, |(reason, ..)| reason)
    }

    /// The reason of an extension's code; of one that is not known, unspecified.
    pub fn from_code(code: u8) -> Self {
        let is_it = |known: CrlReason| known as u32 == u32::from(code);
        Self::ALL.into_iter().find(|(.., known)| is_it(*known)).map_or(Self::Unspecified, |(reason, ..)| reason)
    }
}

/// One revoked certificate.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// Big-endian.
    pub serial: Vec<u8>,
    pub at: OffsetDateTime,
    pub reason: RevocationReason,
}

impl Revoked {
    /// A certificate (DER) as revoked. `None` for one that the authority has not signed, and for its own.
    pub fn new(
        authority: &Authority,
        certificate: &[u8],
        at: OffsetDateTime,
        reason: RevocationReason,
    ) -> Option<Self> {
        let (_, issuer) = X509Certificate::from_der(authority.certificate()).ok()?;
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let is_signed = parsed.verify_signature(Some(issuer.public_key())).is_ok();
        let is_below = parsed.issuer().as_raw() == authority.subject() && certificate != authority.certificate();
        (is_signed && is_below).then(|| Self { serial: significant(parsed.raw_serial()), at, reason })
    }
}

/// A serial number without the octets that make it positive.
fn significant(serial: &[u8]) -> Vec<u8> {
    serial.iter().copied().skip_while(|&octet| octet == 0).collect()
}

/// What an earlier list says.
#[derive(Clone, Debug)]
pub struct Earlier {
    pub number: u64,
    pub revoked: Vec<Revoked>,
}

/// Reads a list (DER) of an authority. `None` for what is none, has no number, or is of somebody else.
pub fn read(authority: &Authority, list: &[u8]) -> Option<Earlier> {
    let (_, issuer) = X509Certificate::from_der(authority.certificate()).ok()?;
    let (rest, list) = CertificateRevocationList::from_der(list).ok()?;
    if !rest.is_empty() || list.verify_signature(issuer.public_key()).is_err() {
        return None;
    }
    let revoked = list.iter_revoked_certificates().map(|entry| Revoked {
        serial: significant(entry.raw_serial()),
        at: entry.revocation_date.to_datetime(),
        reason: entry
            .reason_code()
            .map_or(RevocationReason::Unspecified, |(_, code)| RevocationReason::from_code(code.0)),
    });
    Some(Earlier { number: u64::try_from(list.crl_number()?).ok()?, revoked: revoked.collect() })
}

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("the list cannot be encoded")]
    Encoding,
    /// It would break rules: the key was not touched.
    #[error("the list breaks the rule `{}`: {}", .0.rule, .0.message)]
    Found(Finding),
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Makes a signed CRL (DER). `number` must rise with each list of the authority.
///
/// # Errors
/// [`ListError`]; the key is refused when it is not the authority's.
pub fn list(
    authority: &Authority,
    revoked: &[Revoked],
    number: u64,
    now: OffsetDateTime,
    validity: Duration,
    signer: &dyn Signer,
) -> Result<Vec<u8>, ListError> {
    let encode = || -> der::Result<Vec<u8>> {
        let entries = revoked.iter().map(entry).collect::<der::Result<Vec<_>>>()?;
        let extensions = vec![
            authority_key_identifier(authority.key_identifier())?,
            extension(CrlNumber::OID, false, &CrlNumber::try_from(number)?)?,
        ];
        ToBeSignedList {
            version: Version::V2,
            signature: signer.algorithm().identifier(),
            issuer: Any::from_der(authority.subject())?,
            this_update: moment(now)?,
            next_update: moment(now + validity)?,
            revoked_certificates: (!entries.is_empty()).then_some(entries),
            extensions: Some(extensions),
        }
        .to_der()
    };
    if signer.public_key() != authority.public_key() {
        return Err(SignError::Refused.into());
    }
    let to_be_signed = encode().map_err(|_| ListError::Encoding)?;
    match lint::list::lint(authority, signer.algorithm(), &to_be_signed).into_iter().next() {
        Some(finding) => Err(ListError::Found(finding)),
        None => Ok(sign(&to_be_signed, signer)?),
    }
}

/// Until when a list (DER) is good (RFC 5280 section 5.1.2.5). `None` for what is no list, or has no end.
pub fn next_update(list: &[u8]) -> Option<OffsetDateTime> {
    let (_, list) = CertificateRevocationList::from_der(list).ok()?;
    list.next_update().map(|until| until.to_datetime())
}

fn entry(revoked: &Revoked) -> der::Result<RevokedEntry> {
    // RFC 5280 section 5.3.1: unspecified is said by leaving the extension out.
    let known = RevocationReason::ALL.into_iter().find(|(reason, ..)| *reason == revoked.reason);
    let reason = known.map(|(.., code)| code).filter(|code| *code != CrlReason::Unspecified);
    let extensions = reason.map(|reason| extension(CrlReason::OID, false, &reason)).transpose()?;
    Ok(RevokedEntry {
        serial_number: SerialNumber::new(&revoked.serial)?,
        revocation_date: moment(revoked.at)?,
        extensions: extensions.map(|extension| vec![extension]),
    })
}
