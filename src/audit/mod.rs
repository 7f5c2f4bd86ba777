//! Who did what: written in the transaction of the change, sealed into a chain afterwards.
//!
//! Rows are written unchained, so that no two transactions wait for each other; one sealer per tenant gives committed rows a sequence
//! number of its own and links each to the one before. Where the database has one writer anyway, a row is sealed as it is written.
//! Heads of the chain are signed and exported; `sealwright audit verify` follows the links up to the last of them.
//!
//! What may tell of a person (actor, address, detail) is in the chain as a salted digest, so that it can be erased and the chain still holds.

mod head;
mod refusals;
mod seal;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::random;
use crate::store::audits::AuditRecord;
use crate::store::logins::Followed;
use crate::store::{Store, StoreError, Tx, audits};

pub use head::{Head, HeadError, Heads, HeadsOptions};
pub use refusals::Refusals;
pub use seal::{Chain, Problem, Sealer, agreement, verify};

/// Where a change comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The id that the person is told and the log carries.
    pub request: String,
    pub login: Option<String>,
    pub role: Option<String>,
    /// The address that the request came from, where there was one.
    pub address: Option<String>,
}

impl Origin {
    /// Something the portal does by itself.
    pub fn system(what: &str) -> Self {
        Self { request: what.to_owned(), ..Self::default() }
    }
}

/// Everything that is audited. The names are what `sealwright audit` and the pages show.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    SignInRefused {
        why: String,
        claimed: Option<String>,
    },
    SessionBegan,
    SessionEnded {
        why: &'static str,
    },
    RoleGranted {
        role: String,
    },
    RoleRefused {
        role: String,
    },
    RoleLost {
        role: String,
    },
    WorkflowStarted {
        workflow: String,
        version: u32,
        owner: String,
    },
    WorkflowActed {
        workflow: String,
        state: String,
        action: String,
        shown: Option<String>,
    },
    /// The role may not start it.
    StartRefused {
        workflow: String,
    },
    /// A form or call came without the token of its session.
    CsrfRefused,
    /// Somebody may not take the action, or took it before.
    ActionRefused {
        workflow: String,
        state: String,
        action: String,
    },
    WorkflowEnded {
        workflow: String,
        outcome: &'static str,
        state: String,
    },
    WorkflowStuck {
        workflow: String,
        state: String,
        class: String,
    },
    CodeOffered,
    CodeRefused {
        why: &'static str,
    },
    AgentPaired {
        host: String,
    },
    AgentResumed {
        host: String,
    },
    /// A browser at the agents' address, or an agent that is not the one that it says.
    AgentRefused {
        why: &'static str,
    },
    CardRegistered {
        card: String,
        serial: String,
        owner: String,
    },
    FactorySecretsSealed {
        card: String,
    },
    FactorySecretsReplaced {
        card: String,
        seen_by_host: bool,
    },
    KeyMade {
        card: String,
        slot: String,
        algorithm: String,
        /// The card has attested it.
        attested: bool,
    },
    RequestRefused {
        why: String,
    },
    CertificateIntended {
        authority: String,
        serial: String,
        profile: String,
        subject: String,
    },
    CertificateIssued {
        authority: String,
        serial: String,
        fingerprint: String,
    },
    CertificateInstalled {
        card: String,
        slot: String,
        serial: String,
    },
    KeyProved {
        card: String,
        slot: String,
        serial: String,
    },
    CertificateSuspended {
        authority: String,
        serial: String,
    },
    CertificateReinstated {
        authority: String,
        serial: String,
    },
    CertificatesUnpublished {
        count: usize,
    },
    /// A person is called otherwise, or a login is somebody else's: so many cards and certificates, and so many instances, changed hands.
    LoginChanged {
        login: String,
        credentials: u64,
        instances: u64,
    },
    /// The directory was compared with what people have.
    PeopleCompared {
        left: usize,
    },
    CertificateRevoked {
        authority: String,
        serial: String,
        reason: String,
    },
    CertificatesPublished {
        count: usize,
    },
    RevocationListIssued {
        authority: String,
        number: i64,
    },
    ServiceAccountAdded {
        name: String,
        role: String,
    },
    ServiceAccountRevoked {
        name: String,
    },
    PersonErased {
        records: u64,
    },
    /// So many refusals of a kind were no rows of their own.
    RefusalsSummedUp {
        why: &'static str,
        count: u64,
    },
    /// The database was made from a backup of that time; so many revocations were taken from the last list.
    Restored {
        made_at: String,
        revoked: u64,
    },
}

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
