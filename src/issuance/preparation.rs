//! Preparation of a certificate: checks and lints it before anybody approves it and before a key signs.

use data_encoding::HEXLOWER;
use sealwright_pki::authority::{self, Draft, UnsignedCertificate};
use sealwright_pki::profile::{AlternativeName, Profile};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{CertificateHolder, CertificationError, Csr, DraftCertificate, Finding, Issuance, keys};
use crate::clock::milliseconds;
use crate::random;
use crate::store::certificates::Status;
use crate::store::{Access, StoreError, Tx, certificates};

/// What is asked for, whoever asks.
#[derive(Clone, Copy, Debug)]
pub struct CertificateRequest<'a> {
    pub holder: &'a CertificateHolder,
    pub csr: &'a Csr,
    /// The name of a profile.
    pub profile: &'a str,
    /// The workflow instance that asks.
    pub instance: Uuid,
}

/// The result of preparing.
#[derive(Debug)]
pub enum Preparation {
    Prepared(Box<Prepared>),
    /// The rules do not allow it, for these reasons.
    Refused(Vec<Finding>),
}

/// A certificate that the rules allow, before it has a signature.
#[derive(Debug)]
pub struct Prepared {
    pub draft: DraftCertificate,
    /// How many RA operators must approve it.
    pub approvals: u32,
    pub(super) certificate: UnsignedCertificate,
    pub(super) authority: String,
    /// The id of the holder.
    pub(super) holder: String,
    /// See [`CertificateHolder::names_digest`].
    pub(super) names_digest: String,
    pub(super) public_key_digest: String,
}

/// Prepares a certificate of the issuing authority and lints it.
///
/// Subject and extensions come from the holder and the profile, never from the request. A draft and the
/// signature are both made by this function: what is signed is prepared again.
///
/// # Errors
/// [`CertificationError::Authority`] without an issuing authority; [`CertificationError::Randomness`],
/// [`CertificationError::Encoding`] and [`CertificationError::Store`].
pub async fn prepare(
    issuance: &Issuance,
    tx: &Tx,
    asked: &CertificateRequest<'_>,
    now: OffsetDateTime,
) -> Result<Preparation, CertificationError> {
    let holder = asked.holder;
    let issuer = issuance.issuing().ok_or(CertificationError::Authority)?;
    let Some(profile) = issuance.profile(asked.profile) else {
        return Ok(refused("profile", format!("there is no profile `{}`", asked.profile)));
    };
    let request = match asked.csr.request() {
        Ok(request) => request,
        Err(error) => return Ok(refused("request", error.to_string())),
    };
    let public_key_digest = match keys::check_use(issuance, tx, &request, holder, asked.instance).await? {
        Ok(digest) => digest,
        Err(finding) => return Ok(Preparation::Refused(vec![finding])),
    };

    let serial = random::bytes::<16>()?;
    let draft = Draft { profile, attributes: &holder.attributes, request: &request, serial, now };
    let certificate = match issuer.authority.prepare(&draft, issuer.signer.algorithm()) {
        Ok(certificate) => certificate,
        Err(error) => return Ok(refused("profile", error.to_string())),
    };
    if let Err(findings) = issuer.authority.admit(&certificate.to_be_signed, profile) {
        let findings = findings.into_iter().map(|found| Finding::new(found.rule, found.message)).collect();
        return Ok(Preparation::Refused(findings));
    }

    let digest = authority::digest(&certificate.to_be_signed).map_err(|_| CertificationError::Encoding)?;
    let subject = profile.subject().fill(&holder.attributes).unwrap_or_default();
    let draft = DraftCertificate {
        subject: sealwright_pki::name::to_text(&subject),
        profile: profile.name().to_owned(),
        alternative_names: alternative_names(profile, holder),
        key_usage: key_usage(profile),
        key_algorithm: asked.csr.algorithm.clone(),
        validity_days: profile.validity().whole_days(),
        digest: HEXLOWER.encode(&digest),
    };
    Ok(Preparation::Prepared(Box::new(Prepared {
        draft,
        approvals: profile.approvals(),
        certificate,
        authority: issuer.authority.name().to_owned(),
        holder: holder.id.clone(),
        names_digest: holder.names_digest(profile),
        public_key_digest,
    })))
}

/// Findings that forbid nothing and that an approver should know: valid certificates of the same profile.
///
/// # Errors
/// [`StoreError`].
pub async fn duplicates(
    access: &impl Access,
    owner_login: &str,
    profile: &str,
    now: OffsetDateTime,
) -> Result<Vec<Finding>, StoreError> {
    let rows = certificates::of_owner(access, owner_login).await?.into_iter();
    let now = milliseconds(now);
    let valid = rows.filter(|row| row.is(Status::Issued) && row.profile == profile && row.is_in_use(now));
    let message = "the person has a valid certificate of this profile already, serial number";
    Ok(valid.map(|row| Finding::question("duplicate", format!("{message} {}", row.serial))).collect())
}

/// The names that the certificate would have beside its subject, in words.
pub(super) fn alternative_names(profile: &Profile, holder: &CertificateHolder) -> Vec<String> {
    let names = profile.alternative_names().iter().map(|name| match name {
        AlternativeName::UserPrincipalName => ("user principal name", holder.attribute("upn")),
        AlternativeName::Email => ("mail", holder.attribute("mail")),
    });
    let identifier = profile.security_identifier().then_some(("security identifier", holder.attribute("object_sid")));
    names.chain(identifier).filter_map(|(what, value)| Some(format!("{what} {}", value?))).collect()
}

pub(super) fn key_usage(profile: &Profile) -> Vec<String> {
    let word = |value: Result<Value, _>| value.ok()?.as_str().map(|word: &str| word.replace('-', " "));
    let bits = profile.key_usage().iter().map(|bit| word(serde_json::to_value(bit)));
    bits.chain(profile.extended_key_usage().iter().map(|usage| word(serde_json::to_value(usage)))).flatten().collect()
}

fn refused(rule: &str, message: String) -> Preparation {
    Preparation::Refused(vec![Finding::new(rule, message)])
}
