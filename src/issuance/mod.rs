//! The certification authorities of a tenant, and the rules by which they issue, whoever asks.
//!
//! [`preparation`] checks a request, with the rules for [`keys`], and [`signing`] makes the certificate.
//! [`revocation`] changes its state, and [`lists`] publish that. The rules take a [`CertificateHolder`]: they
//! know neither the directory nor workflows.

mod blocked_keys;
mod departure;
mod error;
mod holder;
pub mod keys;
pub mod lists;
mod node_clock;
mod options;
pub mod plan;
pub mod preparation;
pub mod revocation;
pub mod signing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use sealwright_pki::authority::Authority;
use sealwright_pki::certificate;
use sealwright_pki::profile::Profile;
use sealwright_pki::request::{Request, RequestError};
use sealwright_pki::signer::{SignError, Signer, sign_verified};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::store::certificates::CertificateRecord;

use blocked_keys::BlockedKeys;
pub use departure::{Departure, DepartureAction, DepartureKind, MOST_DEPARTURES};
pub use error::CertificationError;
pub use holder::CertificateHolder;
pub use node_clock::NodeClock;
pub use options::{AuthorityOptions, IssuanceError, SlotOptions, load};

/// An authority that can sign.
#[derive(Clone)]
pub struct Issuer {
    pub authority: Arc<Authority>,
    pub signer: Arc<dyn Signer>,
}

impl Issuer {
    /// Whether the key is there: it signs now, rightly or not. One that signs wrongly is not waited for: an operator is to see what it stops.
    pub async fn is_online(&self) -> bool {
        matches!(self.probe().await, Ok(()) | Err(SignError::Wrong))
    }

    /// Has the key sign a text that is no certificate and no list.
    ///
    /// # Errors
    /// [`SignError`]: why it does not sign now, or not rightly.
    pub async fn probe(&self) -> Result<(), SignError> {
        let signer = self.signer.clone();
        let message = b"sealwright: does the key sign?";
        let signed = tokio::task::spawn_blocking(move || sign_verified(message, signer.as_ref())).await;
        signed.map_err(|_| SignError::Refused)?.map(drop)
    }
}

/// Everything that issuing needs. Cheap to clone.
#[derive(Clone)]
pub struct Issuance {
    issuers: Arc<BTreeMap<String, Issuer>>,
    profiles: Arc<BTreeMap<String, Profile>>,
    /// The certificates above the issuers, DER, for `/pki/ca/`.
    roots: Arc<BTreeMap<String, Vec<u8>>>,
    /// Files of lists that somebody else signs.
    lists: Arc<BTreeMap<String, PathBuf>>,
    issuing: Arc<str>,
    blocked: Arc<BlockedKeys>,
}

impl Issuance {
    pub fn profile(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// The authority that issues people's certificates.
    pub fn issuing(&self) -> Option<&Issuer> {
        self.issuers.get(self.issuing.as_ref())
    }

    /// All that sign here: one that issues nothing any more has a list to keep.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.values()
    }

    pub fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.get(name)
    }

    /// Whether nobody may have this key certified: it is known to be compromised, or an authority's own. The digest is SHA-256 of its
    /// SubjectPublicKeyInfo, hexadecimal.
    pub fn is_blocked(&self, key_digest: &str) -> bool {
        self.blocked.contains(key_digest)
    }

    /// Until when authorities' own certificates are valid.
    pub fn authorities_valid_until(&self) -> impl Iterator<Item = (&str, OffsetDateTime)> {
        let sign_here = self.issuers.iter().map(|(name, issuer)| (name.as_str(), issuer.authority.validity().1));
        let roots = self.roots.iter();
        let above = roots.filter_map(|(name, der)| Some((name.as_str(), certificate::summary(der)?.not_after)));
        sign_here.chain(above)
    }

    /// Until when the lists in files are good: of each authority whose list is signed elsewhere. `None` where no list can be read.
    pub async fn lists_valid_until(&self) -> Vec<(&str, Option<OffsetDateTime>)> {
        let mut lists = Vec::new();
        for (name, path) in self.lists.iter() {
            let der = tokio::fs::read(path).await.ok();
            lists.push((name.as_str(), der.and_then(|der| sealwright_pki::revocation::next_update(&der))));
        }
        lists
    }

    /// The file with the list of an authority that does not sign here.
    pub fn list_file(&self, name: &str) -> Option<&Path> {
        self.lists.get(name).map(PathBuf::as_path)
    }

    /// An authority's certificate (DER) by its name.
    pub fn certificate(&self, name: &str) -> Option<&[u8]> {
        let issuing = self.issuers.get(name).map(|issuer| issuer.authority.certificate());
        issuing.or_else(|| self.roots.get(name).map(Vec::as_slice))
    }

    /// An authority's certificate and, for one that signs here, everything above it.
    pub fn chain(&self, name: &str) -> Option<Vec<&[u8]>> {
        let own = self.certificate(name)?;
        let above = self.roots.values().map(Vec::as_slice).filter(|_| self.issuers.contains_key(name));
        Some([own].into_iter().chain(above).collect())
    }
}

impl std::fmt::Debug for Issuance {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Issuance").field("issuers", &self.issuers.keys()).finish_non_exhaustive()
    }
}

/// A certificate as workflows see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    pub id: String,
    pub serial: String,
    pub subject: String,
    pub profile: String,
}

impl Certificate {
    pub fn from_row(row: &CertificateRecord) -> Self {
        Self {
            id: row.id.to_string(),
            serial: row.serial.clone(),
            subject: row.subject.clone(),
            profile: row.profile.clone(),
        }
    }
}

/// A checked certification request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Csr {
    /// PKCS#10, or the SubjectPublicKeyInfo of a key that does not sign; DER, base64.
    pub der: String,
    pub algorithm: String,
    /// The key speaks for itself by the request's signature; else its card has attested it.
    pub signed: bool,
}

impl Csr {
    /// # Errors
    /// [`RequestError`].
    pub fn request(&self) -> Result<Request, RequestError> {
        let der = STANDARD.decode(&self.der).unwrap_or_default();
        if self.signed { Request::read(&der) } else { Request::attested(&der) }
    }
}

/// A certificate as it would be signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DraftCertificate {
    pub subject: String,
    pub profile: String,
    /// Everything else that it would say, in words.
    #[serde(default)]
    pub alternative_names: Vec<String>,
    #[serde(default)]
    pub key_usage: Vec<String>,
    #[serde(default)]
    pub key_algorithm: String,
    #[serde(default)]
    pub validity_days: i64,
    /// What an approval binds to: everything but serial number and moment, SHA-256, hexadecimal.
    pub digest: String,
}

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub rule: String,
    pub message: String,
    #[serde(default)]
    pub severity: Severity,
}

/// The weight of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The rules do not allow it.
    #[default]
    Refusal,
    /// An approver has to decide on it.
    Question,
}

impl Finding {
    fn new(rule: &str, message: impl Into<String>) -> Self {
        Self { rule: rule.to_owned(), message: message.into(), severity: Severity::Refusal }
    }

    fn question(rule: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Question, ..Self::new(rule, message) }
    }

    /// Whether somebody has to decide on it.
    pub fn asks(&self) -> bool {
        self.severity == Severity::Question
    }
}

/// A slot of the card and what goes into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    pub name: SlotName,
    pub title: String,
    pub algorithm: KeyAlgorithmName,
    pub profile: String,
}

/// A slot's word, as workflows and the configuration say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotName(sealwright_protocol::Slot);

impl SlotName {
    pub fn to_protocol(self) -> sealwright_protocol::Slot {
        self.0
    }
}

impl JsonSchema for SlotName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SlotName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": sealwright_protocol::Slot::WORDS })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeyAlgorithmName {
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "p-256")]
    P256,
    #[serde(rename = "p-384")]
    P384,
}

impl KeyAlgorithmName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::P256 => "p-256",
            Self::P384 => "p-384",
        }
    }

    pub fn to_protocol(self) -> sealwright_protocol::KeyAlgorithm {
        match self {
            Self::Rsa2048 => sealwright_protocol::KeyAlgorithm::Rsa2048,
            Self::Rsa3072 => sealwright_protocol::KeyAlgorithm::Rsa3072,
            Self::P256 => sealwright_protocol::KeyAlgorithm::P256,
            Self::P384 => sealwright_protocol::KeyAlgorithm::P384,
        }
    }
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }
}
