//! Signing: the intent is stored, its bytes are linted again and signed, and one signature is recorded.

use data_encoding::HEXLOWER;
use sealwright_pki::certificate;
use sealwright_pki::signer::SignError;
use time::OffsetDateTime;
use uuid::Uuid;

use super::preparation::Prepared;
use super::{CertificationError, Issuance, SlotName};
use crate::clock::milliseconds;
use crate::random;
use crate::store::certificates::{CertificateRecord, Status};
use crate::store::{Tx, certificates};

/// Where a certificate belongs, and the step that wants it.
#[derive(Clone, Debug)]
pub struct Placement {
    pub owner_login: String,
    pub card: Option<Uuid>,
    pub slot: Option<SlotName>,
    pub instance: Uuid,
    pub step: i64,
}

/// What became of a signature.
#[derive(Debug)]
pub enum Recorded {
    /// It is the one that counts.
    Issued { row: CertificateRecord, fingerprint: String },
    /// Another signature was recorded before; this one is forgotten.
    Before(CertificateRecord),
}

/// Stores serial number and to-be-signed bytes, before any key signs them.
///
/// # Errors
/// [`CertificationError::Store`].
pub async fn intend(
    tx: &Tx,
    prepared: Prepared,
    placement: Placement,
    now: OffsetDateTime,
) -> Result<CertificateRecord, CertificationError> {
    let Prepared { certificate, draft, .. } = prepared;
    let row = CertificateRecord {
        id: random::id(),
        authority: prepared.authority,
        serial: HEXLOWER.encode(&certificate.serial),
        status: Status::Intended,
        profile: draft.profile,
        person: prepared.holder,
        owner_login: placement.owner_login,
        card: placement.card,
        slot: placement.slot.map(|slot| slot.to_protocol().as_str().to_owned()),
        subject: draft.subject,
        names_digest: prepared.names_digest,
        not_before: certificate.not_before.unix_timestamp() * 1000,
        not_after: certificate.not_after.unix_timestamp() * 1000,
        public_key_digest: prepared.public_key_digest,
        to_be_signed: certificate.to_be_signed,
        certificate: None,
        fingerprint: None,
        instance: placement.instance,
        step: placement.step,
        created_at: milliseconds(now),
        revoked_at: None,
        reason: None,
    };
    certificates::insert(tx, row.clone()).await?;
    Ok(row)
}

/// Lints stored bytes again, signs them with the authority's key and verifies the signature; gives the DER.
///
/// # Errors
/// [`CertificationError::Authority`], [`CertificationError::Profile`] if the configuration has them no more,
/// [`CertificationError::Lint`], and [`CertificationError::Sign`].
pub async fn sign(
    issuance: &Issuance,
    authority: &str,
    profile: &str,
    to_be_signed: &[u8],
) -> Result<Vec<u8>, CertificationError> {
    let issuer = issuance.issuer(authority).ok_or(CertificationError::Authority)?.clone();
    let profile = issuance.profile(profile).ok_or(CertificationError::Profile)?;
    let ticket = issuer.authority.admit(to_be_signed, profile).map_err(|findings| {
        tracing::error!(?findings, "stored bytes are not admitted any more");
        CertificationError::Lint
    })?;

    let signed = tokio::task::spawn_blocking(move || ticket.sign(issuer.signer.as_ref())).await;
    let signed = signed.unwrap_or(Err(SignError::Refused));
    if let Err(error @ SignError::Wrong) = signed {
        tracing::error!(authority, %error, "a certificate was not signed");
    }
    Ok(signed?)
}

/// Records the signature of an intended certificate, unless another one was recorded before.
///
/// # Errors
/// [`CertificationError::Encoding`], [`CertificationError::Certificate`], [`CertificationError::Store`].
pub async fn record(tx: &Tx, id: Uuid, der: &[u8]) -> Result<Recorded, CertificationError> {
    let fingerprint = certificate::summary(der).ok_or(CertificationError::Encoding)?.fingerprint;
    match certificates::issue(tx, id, der.to_owned(), &fingerprint).await? {
        Some(row) => Ok(Recorded::Issued { row, fingerprint }),
        None => {
            let first = certificates::find(tx, id).await?;
            Ok(Recorded::Before(first.ok_or(CertificationError::Certificate)?))
        }
    }
}
