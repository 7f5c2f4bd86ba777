//! Certificates: one's own, or everybody's for the roles that see them.

use super::rights::{Read, sees_all};
use crate::engine::rights::may_start_for;
use crate::engine::verbs::Caller;
use crate::engine::{Engine, EngineError};
use crate::store::{Store, certificates};

pub use crate::store::certificates::CertificateRecord;

/// The workflow that revokes one certificate.
pub const REVOKE: &str = "revoke-certificate";

/// The newest certificates of everybody, at most `limit`.
///
/// `wanted` is a login or a serial number.
///
/// # Errors
/// [`EngineError::Forbidden`] for a role that does not see what is others', [`EngineError::Store`].
pub async fn of_everybody(
    store: &Store,
    caller: &Caller,
    wanted: Option<&str>,
    limit: u64,
) -> Result<Vec<CertificateRecord>, EngineError> {
    if !sees_all(caller, Read::Certificates) {
        return Err(EngineError::Forbidden);
    }
    Ok(certificates::search(store.read(), None, wanted, limit).await?)
}

/// The newest certificates that the caller may see, at most `limit`.
///
/// `wanted` is a login or a serial number.
///
/// # Errors
/// [`EngineError::Store`].
pub async fn visible(
    store: &Store,
    caller: &Caller,
    wanted: Option<&str>,
    limit: u64,
) -> Result<Vec<CertificateRecord>, EngineError> {
    let sees_all = sees_all(caller, Read::Certificates);
    let owner = (!sees_all).then_some(caller.actor.person.login.as_str());
    Ok(certificates::search(store.read(), owner, wanted, limit).await?)
}

/// The caller's own certificates.
///
/// # Errors
/// [`EngineError::Store`].
pub async fn own(store: &Store, caller: &Caller) -> Result<Vec<CertificateRecord>, EngineError> {
    Ok(certificates::of_owner(store.read(), &caller.actor.person.login).await?)
}

/// Whether the caller may start the revocation of a certificate, at a time in milliseconds.
pub fn may_revoke(engine: &Engine, caller: &Caller, row: &CertificateRecord, now: i64) -> bool {
    let revoke = engine.definitions().current(REVOKE);
    let may = revoke.is_some_and(|definition| may_start_for(definition, &row.owner_login, &caller.actor));
    may && row.is_outstanding(now)
}
