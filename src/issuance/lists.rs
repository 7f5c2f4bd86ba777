//! Revocation lists of authorities that sign here: numbered, signed, and recorded one after another.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sealwright_pki::revocation::{self, ListError, RevocationReason, Revoked};
use sealwright_pki::signer::SignError;
use time::{Duration, OffsetDateTime};

use super::{CertificationError, Issuance};
use crate::clock::{milliseconds, moment};
use crate::store::certificates::{CertificateRecord, Status};
use crate::store::revocation_lists::RevocationListRecord;
use crate::store::{Access, Tx, revocation_lists};

/// How long a list may be used; a new one is made long before.
pub const VALIDITY: Duration = Duration::days(7);

/// How far numbers of lists may be ahead of the seconds since 1970.
const MOST_AHEAD: i64 = 3600;

/// A list as it was signed.
#[derive(Debug)]
pub struct SignedList {
    pub authority: String,
    pub number: i64,
    /// DER.
    der: Vec<u8>,
    this_update: i64,
    /// The number of the last list before the revoked certificates were read.
    follows: Option<i64>,
}

/// Whether the certificates of an authority among `changed` are revoked, and its last list says so.
///
/// One list then names all of many that are revoked together. A suspension can end again, so it is always
/// said anew: a list without it may be signed at this moment, and only a newer list is sure to come last.
///
/// # Errors
/// [`CertificationError::Store`].
pub async fn is_current(
    issuance: &Issuance,
    access: &impl Access,
    authority: &str,
    changed: &[CertificateRecord],
    now: OffsetDateTime,
) -> Result<bool, CertificationError> {
    let changed: Vec<&CertificateRecord> = changed.iter().filter(|row| row.authority == authority).collect();
    if changed.is_empty() || changed.iter().any(|row| !row.is(Status::Revoked)) {
        return Ok(false);
    }

    let last = revocation_lists::latest(access, authority).await?;
    let last = last.filter(|list| list.is_good(milliseconds(now)));
    let Some((list, issuer)) = last.zip(issuance.issuer(authority)) else { return Ok(false) };
    let Some(list) = revocation::read(&issuer.authority, &list.der) else { return Ok(false) };

    let said: BTreeMap<Vec<u8>, RevocationReason> =
        list.revoked.into_iter().map(|revoked| (revoked.serial, revoked.reason)).collect();
    Ok(changed.into_iter().all(|row| {
        let said = serial_bytes(&row.serial).and_then(|serial| said.get(&serial));
        said == Some(&reason(row.reason.as_deref()))
    }))
}

/// Signs a list of everything that is revoked now, under the next number of the authority.
///
/// # Errors
/// [`CertificationError::Authority`] if the configuration has it no more: its list may be signed elsewhere now.
/// [`CertificationError::Serial`], because a number that cannot be read would revoke another certificate or none.
/// [`CertificationError::Lint`], [`CertificationError::Encoding`], [`CertificationError::Sign`] and [`CertificationError::Store`].
pub async fn sign(
    issuance: &Issuance,
    access: &impl Access,
    authority: &str,
    now: OffsetDateTime,
) -> Result<SignedList, CertificationError> {
    let issuer = issuance.issuer(authority).ok_or(CertificationError::Authority)?.clone();
    let latest = revocation_lists::latest(access, authority).await?;
    // The time, so that a number rises also after a restore from a backup that does not know the last ones, which
    // may have been ahead of the clock: several lists were made within a second. And one more than the last, so
    // that it rises also when the clock was set back.
    let ahead = if latest.as_ref().is_some_and(RevocationListRecord::is_put_aside) { MOST_AHEAD } else { 0 };
    let follows = latest.map(|list| list.number);
    let number = (now.unix_timestamp() + ahead).max(follows.unwrap_or(0) + 1);
    let unsigned = u64::try_from(number).unwrap_or_default();
    let revoked = revoked(access, authority, now).await?;

    let signed = tokio::task::spawn_blocking(move || {
        revocation::list(&issuer.authority, &revoked, unsigned, now, VALIDITY, issuer.signer.as_ref())
    })
    .await;
    let authority = authority.to_owned();
    match signed.unwrap_or(Err(ListError::Sign(SignError::Refused))) {
        Ok(der) => Ok(SignedList { authority, number, der, this_update: milliseconds(now), follows }),
        Err(ListError::Sign(error)) => {
            if error == SignError::Wrong {
                tracing::error!(authority, %error, "a revocation list was not signed");
            }
            Err(error.into())
        }
        Err(ListError::Found(finding)) => {
            tracing::error!(authority, ?finding, "a revocation list was not signed");
            Err(CertificationError::Lint)
        }
        Err(ListError::Encoding) => Err(CertificationError::Encoding),
    }
}

/// Records a list; `false` if another one came in between, whose revocations this one may not know.
///
/// The transaction holds the lock of the revocation lists.
///
/// # Errors
/// [`CertificationError::Store`].
pub async fn record(tx: &Tx, list: &SignedList) -> Result<bool, CertificationError> {
    let latest = revocation_lists::latest(tx, &list.authority).await?.map(|list| list.number);
    if latest != list.follows {
        return Ok(false);
    }
    let row = RevocationListRecord {
        authority: list.authority.clone(),
        number: list.number,
        der: list.der.clone(),
        this_update: list.this_update,
        next_update: list.this_update + milliseconds(OffsetDateTime::UNIX_EPOCH + VALIDITY),
    };
    revocation_lists::insert(tx, row).await?;
    Ok(true)
}

/// Everything that a list names.
///
/// RFC 5280 section 3.3: a certificate that was revoked is on one regular list after it has expired. One
/// list at least is made in the time that another one is valid.
async fn revoked(
    access: &impl Access,
    authority: &str,
    now: OffsetDateTime,
) -> Result<Vec<Revoked>, CertificationError> {
    let rows = revocation_lists::revoked(access, authority, milliseconds(now - VALIDITY)).await?;
    let revoked = rows.iter().map(|row| {
        Ok(Revoked {
            serial: serial_bytes(&row.serial).ok_or(CertificationError::Serial)?,
            at: row.revoked_at.map_or(now, moment),
            reason: reason(row.reason.as_deref()),
        })
    });
    revoked.collect()
}

/// The reason that the database has a word for.
fn reason(word: Option<&str>) -> RevocationReason {
    RevocationReason::from_word(word.unwrap_or_default())
}

/// A hexadecimal serial number as big-endian bytes.
fn serial_bytes(serial: &str) -> Option<Vec<u8>> {
    let even = if serial.len().is_multiple_of(2) { serial.to_owned() } else { format!("0{serial}") };
    HEXLOWER.decode(even.as_bytes()).ok()
}
