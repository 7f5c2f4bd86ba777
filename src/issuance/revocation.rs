//! Revocation, suspension and reinstatement. Each gives the certificate if its state has changed.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{CertificationError, Reason};
use crate::clock::milliseconds;
use crate::store::certificates::CertificateRecord;
use crate::store::{Tx, certificates};

/// Revokes a certificate. The date and reason of an earlier revocation stay, and the date of a suspension.
///
/// # Errors
/// [`CertificationError::Store`].
pub async fn revoke(
    tx: &Tx,
    id: Uuid,
    reason: Reason,
    now: OffsetDateTime,
) -> Result<Option<CertificateRecord>, CertificationError> {
    let is_changed = certificates::revoke(tx, id, reason.as_str(), milliseconds(now)).await?;
    if_changed(tx, id, is_changed).await
}

/// Suspends a certificate that is valid (`certificateHold`, RFC 5280 section 5.3.1).
///
/// # Errors
/// [`CertificationError::Store`].
pub async fn suspend(tx: &Tx, id: Uuid, now: OffsetDateTime) -> Result<Option<CertificateRecord>, CertificationError> {
    let is_changed = certificates::suspend(tx, id, milliseconds(now)).await?;
    if_changed(tx, id, is_changed).await
}

/// Ends the suspension of a certificate.
///
/// # Errors
/// [`CertificationError::Store`].
pub async fn reinstate(tx: &Tx, id: Uuid) -> Result<Option<CertificateRecord>, CertificationError> {
    let is_changed = certificates::reinstate(tx, id).await?;
    if_changed(tx, id, is_changed).await
}

async fn if_changed(tx: &Tx, id: Uuid, is_changed: bool) -> Result<Option<CertificateRecord>, CertificationError> {
    match is_changed {
        true => Ok(Some(certificates::find(tx, id).await?.ok_or(CertificationError::Certificate)?)),
        false => Ok(None),
    }
}
