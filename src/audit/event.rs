//! Audited events and their origins.

use serde::Serialize;

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
