//! Revocation lists (RFC 5280 section 5).

use der::oid::AssociatedOid;
use der::{Any, Decode, Encode};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use x509_cert::Version;
use x509_cert::ext::pkix::{CrlNumber, CrlReason};
use x509_cert::serial_number::SerialNumber;

use crate::authority::{Authority, sign};
use crate::encoding::{RevokedEntry, ToBeSignedList, moment};
use crate::extension::{authority_key_identifier, extension};
use crate::signer::{SignError, Signer};

/// Why a certificate was revoked (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
    /// For now: the certificate may come off the list again.
    CertificateHold,
}

/// One revoked certificate.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// Big-endian.
    pub serial: Vec<u8>,
    pub at: OffsetDateTime,
    pub reason: RevocationReason,
}

/// Makes a signed CRL (DER). `number` must rise with each list of the authority.
///
/// # Errors
/// [`SignError::Refused`] when it cannot be encoded or the key is not the authority's, else what the signer says.
pub fn list(
    authority: &Authority,
    revoked: &[Revoked],
    number: u64,
    now: OffsetDateTime,
    validity: Duration,
    signer: &dyn Signer,
) -> Result<Vec<u8>, SignError> {
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
        return Err(SignError::Refused);
    }
    sign(&encode().map_err(|_| SignError::Refused)?, signer)
}

fn entry(revoked: &Revoked) -> der::Result<RevokedEntry> {
    let reason = match revoked.reason {
        // RFC 5280 section 5.3.1: unspecified is said by leaving the extension out.
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(CrlReason::KeyCompromise),
        RevocationReason::AffiliationChanged => Some(CrlReason::AffiliationChanged),
        RevocationReason::Superseded => Some(CrlReason::Superseded),
        RevocationReason::CessationOfOperation => Some(CrlReason::CessationOfOperation),
        RevocationReason::PrivilegeWithdrawn => Some(CrlReason::PrivilegeWithdrawn),
        RevocationReason::CertificateHold => Some(CrlReason::CertificateHold),
    };
    let extensions = reason.map(|reason| extension(CrlReason::OID, false, &reason)).transpose()?;
    Ok(RevokedEntry {
        serial_number: SerialNumber::new(&revoked.serial)?,
        revocation_date: moment(revoked.at)?,
        extensions: extensions.map(|extension| vec![extension]),
    })
}
