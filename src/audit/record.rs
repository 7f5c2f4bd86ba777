//! Rows of the audit: written in the transaction of the change, and erased.

use serde_json::Value;
use uuid::Uuid;

use super::event::{Event, Origin};
use super::seal;
use crate::random;
use crate::store::audits::AuditRecord;
use crate::store::logins::Followed;
use crate::store::{Store, StoreError, Tx, audits};

/// Writes one row in the transaction of the change.
///
/// # Errors
/// [`StoreError`]: then the change must not happen either.
pub fn record(tx: &Tx, origin: &Origin, instance: Option<Uuid>, at: i64, event: &Event) -> Result<(), StoreError> {
    let mut detail = serde_json::to_value(event)
        .map_err(|error| StoreError::Inconsistent { table: "audit", why: error.to_string() })?;
    let name = match detail.as_object_mut().and_then(|object| object.remove("event")) {
        Some(Value::String(name)) => name,
        _ => return Err(StoreError::Inconsistent { table: "audit", why: "an event without a name".to_owned() }),
    };
    let salt = random::token().map_err(|error| StoreError::Inconsistent { table: "audit", why: error.to_string() })?;
    let personal = seal::personal(&salt, origin.login.as_deref(), origin.address.as_deref(), &detail);
    let row = AuditRecord {
        id: random::id(),
        at,
        event: name,
        role: origin.role.clone(),
        instance,
        request: origin.request.clone(),
        actor: origin.login.clone(),
        address: origin.address.clone(),
        detail: Some(detail),
        salt: Some(salt),
        personal,
        sequence: None,
    };
    audits::defer_insert(tx, row);
    Ok(())
}

/// Writes down what has followed a person to a login, if anything has.
///
/// # Errors
/// As [`record`].
pub fn record_followed(
    tx: &Tx,
    origin: &Origin,
    instance: Option<Uuid>,
    at: i64,
    login: &str,
    followed: Followed,
) -> Result<(), StoreError> {
    if followed == Followed::default() {
        return Ok(());
    }
    let Followed { credentials, instances } = followed;
    record(tx, origin, instance, at, &Event::LoginChanged { login: login.to_owned(), credentials, instances })
}

/// Writes one row of its own: nothing was changed, or was refused.
///
/// # Errors
/// [`StoreError`].
pub async fn record_alone(
    store: &Store,
    origin: Origin,
    instance: Option<Uuid>,
    at: i64,
    event: Event,
) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            let (origin, event) = (origin.clone(), event.clone());
            async move { record(&tx, &origin, instance, at, &event) }
        })
        .await
}

/// Erases what the sealed records tell of a person, and records that. The chain still holds.
///
/// # Errors
/// [`StoreError`].
pub async fn erase(tx: &Tx, login: &str, at: i64) -> Result<u64, StoreError> {
    let records = audits::erase(tx, login).await?;
    record(tx, &Origin::system("erase"), None, at, &Event::PersonErased { records })?;
    Ok(records)
}
