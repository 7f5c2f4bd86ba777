//! Certificates that are planned before a card has made its keys, so that they are approved together.

use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::preparation::{alternative_names, duplicates, key_usage};
use super::{CertificateHolder, CertificationError, Finding, Issuance, KeyAlgorithmName, Slot, SlotName};
use crate::random;
use crate::store::Access;

/// A certificate of a card as it would be issued, without its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCertificate {
    pub title: String,
    pub slot: SlotName,
    pub subject: String,
    pub profile: String,
    pub alternative_names: Vec<String>,
    pub key_usage: Vec<String>,
    pub key_algorithm: KeyAlgorithmName,
    pub validity_days: i64,
    /// Shown to the approvers; they forbid nothing.
    pub findings: Vec<Finding>,
    /// The digest that an approval binds to: holder, slot, profile, key algorithm, names, extensions and length of validity;
    /// SHA-256, hexadecimal.
    pub terms: String,
}

/// The result of planning.
#[derive(Clone, Debug)]
pub enum Plan {
    Planned {
        certificates: Vec<PlannedCertificate>,
        /// How many RA operators must approve: as many as the strictest of the profiles asks for.
        approvals: u32,
    },
    /// The rules do not allow one of them, for these reasons.
    Refused(Vec<Finding>),
}

impl PlannedCertificate {
    /// Whether an approval of this one covers a certificate of the same terms, of which more may have been found since.
    pub fn covers(&self, terms: &str, findings: &[Finding]) -> bool {
        self.terms == terms && findings.iter().all(|found| !found.asks() || self.findings.contains(found))
    }
}

/// Plans one certificate for each slot.
///
/// # Errors
/// [`CertificationError::Authority`] without an issuing authority, and [`CertificationError::Store`].
pub async fn plan(
    issuance: &Issuance,
    access: &impl Access,
    holder: &CertificateHolder,
    owner_login: &str,
    slots: &[Slot],
    now: OffsetDateTime,
) -> Result<Plan, CertificationError> {
    let (mut certificates, mut approvals) = (Vec::new(), 0);
    for slot in slots {
        let terms = match terms(issuance, holder, slot.name, &slot.profile, slot.algorithm.as_str())? {
            Ok(terms) => terms,
            Err(finding) => return Ok(Plan::Refused(vec![finding])),
        };
        let profile = issuance.profile(&slot.profile).ok_or(CertificationError::Profile)?;
        let subject = profile.subject().fill(&holder.attributes).unwrap_or_default();
        let findings = match profile.approvals() {
            0 => Vec::new(),
            _ => duplicates(access, owner_login, &slot.profile, now).await?,
        };
        approvals = approvals.max(profile.approvals());
        certificates.push(PlannedCertificate {
            title: slot.title.clone(),
            slot: slot.name,
            subject: sealwright_pki::name::to_text(&subject),
            profile: slot.profile.clone(),
            alternative_names: alternative_names(profile, holder),
            key_usage: key_usage(profile),
            key_algorithm: slot.algorithm,
            validity_days: profile.validity().whole_days(),
            findings,
            terms,
        });
    }
    Ok(Plan::Planned { certificates, approvals })
}

/// The digest of a certificate's terms; the finding where the rules do not allow it.
pub fn terms(
    issuance: &Issuance,
    holder: &CertificateHolder,
    slot: SlotName,
    profile: &str,
    algorithm: &str,
) -> Result<Result<String, Finding>, CertificationError> {
    let issuer = issuance.issuing().ok_or(CertificationError::Authority)?;
    let Some(known) = issuance.profile(profile) else {
        return Ok(Err(Finding::new("profile", format!("there is no profile `{profile}`"))));
    };
    let said = match issuer.authority.terms(known, &holder.attributes) {
        Ok(said) => HEXLOWER.encode(&said),
        Err(error) => return Ok(Err(Finding::new("profile", error.to_string()))),
    };
    Ok(Ok(random::digest(json!([holder.id, slot, profile, algorithm, said]).to_string().as_bytes())))
}
