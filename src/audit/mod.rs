//! Who did what: written in the transaction of the change, sealed into a chain afterwards.
//!
//! Rows are written unchained, so that no two transactions wait for each other; one sealer per tenant gives committed rows a sequence
//! number of its own and links each to the one before. `sealwright audit verify` follows the links.

mod seal;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::random;
use crate::store::audits::AuditRow;
use crate::store::{Access, StoreError, Tx, audits};

pub use seal::{Problem, Sealer, verify};

/// Where a change comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The id that the person is told and the log carries.
    pub request: String,
    pub login: Option<String>,
    pub role: Option<String>,
    /// The address of the peer, for refusals.
    pub peer: Option<String>,
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
    SignInRefused { why: String, claimed: Option<String> },
    SessionBegan,
    SessionEnded { why: &'static str },
    RoleGranted { role: String },
    RoleRefused { role: String },
    RoleLost { role: String },
    WorkflowStarted { workflow: String, version: u32, owner: String },
    WorkflowActed { workflow: String, state: String, action: String },
    WorkflowEnded { workflow: String, outcome: &'static str, state: String },
    WorkflowStuck { workflow: String, state: String, class: String },
    CodeOffered,
    CodeRefused { why: &'static str },
    AgentPaired { host: String },
    AgentResumed { host: String },
    CardRegistered { card: String, serial: String, owner: String },
    FactorySecretsSealed { card: String },
    FactorySecretsReplaced { card: String, seen_by_host: bool },
    KeyMade { card: String, slot: String, algorithm: String },
    RequestRefused { why: String },
    CertificateIntended { authority: String, serial: String, profile: String, subject: String },
    CertificateIssued { authority: String, serial: String, fingerprint: String },
    CertificateInstalled { card: String, slot: String, serial: String },
    KeyProved { card: String, slot: String, serial: String },
    CertificateRevoked { authority: String, serial: String, reason: String },
    CertificatesPublished { count: usize },
    RevocationListIssued { authority: String, number: i64 },
}

/// Writes one row in the transaction of the change.
///
/// # Errors
/// [`StoreError`]: then the change must not happen either.
pub async fn record(
    tx: &Tx,
    origin: &Origin,
    instance: Option<Uuid>,
    at: i64,
    event: &Event,
) -> Result<(), StoreError> {
    let mut detail = serde_json::to_value(event)
        .map_err(|error| StoreError::Inconsistent { table: "audit", why: error.to_string() })?;
    let name = match detail.as_object_mut().and_then(|object| object.remove("event")) {
        Some(Value::String(name)) => name,
        _ => return Err(StoreError::Inconsistent { table: "audit", why: "an event without a name".to_owned() }),
    };
    let row = AuditRow {
        tenant: tx.tenant().to_owned(),
        id: random::id(),
        at,
        event: name,
        actor: origin.login.clone(),
        role: origin.role.clone(),
        instance,
        peer: origin.peer.clone(),
        request: origin.request.clone(),
        detail,
        sequence: None,
    };
    audits::insert(tx, row).await
}
