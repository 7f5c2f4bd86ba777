//! `pki.prepare`: what a certificate would say, checked and linted before anybody decides and before the key is touched.

use std::collections::BTreeMap;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use sealwright_pki::authority::{self, Draft};
use sealwright_pki::profile::{AlternativeName, Profile};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::activities::Services;
use crate::audit;
use crate::clock::milliseconds;
use crate::directory::Person;
use crate::engine::contract::{Call, Failure, FailureClass, LocalActivity};
use crate::issuance::{Csr, DraftCertificate, Finding, Issuance};
use crate::random;
use crate::store::certificates::Status;
use crate::store::{Tx, certificates};

pub struct PrepareCertificate {
    issuance: Issuance,
}

impl From<&Services> for PrepareCertificate {
    fn from(services: &Services) -> Self {
        Self { issuance: services.issuance.clone() }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    pub person: Person,
    pub csr: Csr,
    pub profile: String,
}

/// A request that the rules allow.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Admissible {
    draft: DraftCertificate,
    /// What whoever decides should know.
    findings: Vec<Finding>,
    /// How many RA operators must say yes.
    approvals: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Refused {
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Prepared(Admissible),
    Refused(Refused),
}

/// Prepared bytes and what to say of them.
pub(super) struct Prepared {
    pub to_be_signed: Vec<u8>,
    pub draft: DraftCertificate,
    /// See [`names_digest`].
    pub names_digest: String,
    pub public_key_digest: String,
}

/// Prepares and lints. The same for a draft and for the signature: what is signed is made again then.
///
/// # Errors
/// The findings in the inner result; [`Failure`] when there is no authority.
pub(super) async fn prepare(
    issuance: &Issuance,
    tx: &Tx,
    call: &Call,
    parameters: &Parameters,
) -> Result<Result<Prepared, Vec<Finding>>, Failure> {
    let issuer = issuance.issuing().ok_or(Failure::Fail(FailureClass::Authority))?;
    let Some(profile) = issuance.profile(&parameters.profile) else {
        return Ok(refuse("profile", &format!("there is no profile `{}`", parameters.profile)));
    };
    let request = match parameters.csr.request() {
        Ok(request) => request,
        Err(error) => return Ok(refuse("request", &error.to_string())),
    };
    let public_key_digest = random::digest(request.subject_public_key_info());
    if issuance.is_blocked(&public_key_digest) {
        return Ok(refuse("blocked-key", "the key is known to be compromised, or is an authority's own"));
    }
    for other in certificates::of_key(tx, &public_key_digest).await? {
        // A repeat finds its own intent.
        let is_own = other.instance == call.instance.id;
        if other.person != parameters.person.id || (!is_own && other.is(Status::Revoked)) {
            return Ok(refuse("key-reuse", "the key was certified before, for somebody else or until it was revoked"));
        }
    }
    let serial = random::bytes::<16>().map_err(|_| Failure::Fail(FailureClass::Randomness))?;
    let attributes = parameters.person.attributes();
    let draft = Draft { profile, attributes: &attributes, request: &request, serial, now: call.now };
    let to_be_signed = match issuer.authority.prepare(&draft, issuer.signer.algorithm()) {
        Ok(prepared) => prepared.to_be_signed,
        Err(error) => return Ok(refuse("profile", &error.to_string())),
    };
    if let Err(findings) = issuer.authority.admit(&to_be_signed, profile) {
        let findings =
            findings.into_iter().map(|found| Finding { rule: found.rule.to_owned(), message: found.message }).collect();
        return Ok(Err(findings));
    }
    let digest = authority::digest(&to_be_signed).map_err(|_| Failure::Fail(FailureClass::Encoding))?;
    let subject = profile.subject().fill(&attributes).unwrap_or_default();
    let draft = DraftCertificate {
        subject: sealwright_pki::name::to_text(&subject),
        profile: parameters.profile.clone(),
        alternative_names: alternative_names(profile, &parameters.person),
        key_usage: key_usage(profile),
        key_algorithm: parameters.csr.algorithm.clone(),
        validity_days: profile.validity().whole_days(),
        digest: HEXLOWER.encode(&digest),
    };
    let names_digest = names_digest(profile, &parameters.person);
    Ok(Ok(Prepared { to_be_signed, draft, names_digest, public_key_digest }))
}

/// Whether a certificate says of a person something else than the directory says today, by the digests that were kept when it was made. None where
/// an attribute cannot be read today and the others are as they were: nothing is known then.
pub(in crate::activities) fn names_otherwise(kept: &str, person: &Person) -> Option<bool> {
    // A certificate that only a revocation list tells of has none.
    let kept: BTreeMap<String, String> = serde_json::from_str(kept).unwrap_or_default();
    let today = person.attributes();
    let mut otherwise = Some(false);
    for (name, digest) in &kept {
        match today.get(name) {
            Some(value) if random::digest(value.as_bytes()) != *digest => return Some(true),
            Some(_) => {}
            None => otherwise = None,
        }
    }
    otherwise
}

/// Of each attribute that a certificate of a profile is made of, a digest. The profile itself is not in it: what an administrator writes otherwise
/// moves nobody.
fn names_digest(profile: &Profile, person: &Person) -> String {
    let attributes = person.attributes();
    let said = profile.attributes().into_iter();
    let said = said.filter_map(|name| Some((name, random::digest(attributes.get(name)?.as_bytes()))));
    json!(said.collect::<BTreeMap<_, _>>()).to_string()
}

/// What the certificate would call the person beside its subject, for whoever decides.
fn alternative_names(profile: &Profile, person: &Person) -> Vec<String> {
    let names = profile.alternative_names().iter().map(|name| match name {
        AlternativeName::UserPrincipalName => ("user principal name", person.upn.as_deref()),
        AlternativeName::Email => ("mail", person.mail.as_deref()),
    });
    let identifier = profile.security_identifier().then_some(("security identifier", person.object_sid.as_deref()));
    names.chain(identifier).filter_map(|(what, value)| Some(format!("{what} {}", value?))).collect()
}

fn key_usage(profile: &Profile) -> Vec<String> {
    let word = |value: Result<Value, _>| value.ok()?.as_str().map(|word: &str| word.replace('-', " "));
    let bits = profile.key_usage().iter().map(|bit| word(serde_json::to_value(bit)));
    bits.chain(profile.extended_key_usage().iter().map(|usage| word(serde_json::to_value(usage)))).flatten().collect()
}

/// Nothing that forbids a certificate, and something that whoever decides should know.
async fn findings(tx: &Tx, call: &Call, profile: &Profile) -> Result<Vec<Finding>, Failure> {
    let valid = certificates::of_owner(tx, &call.instance.owner.login).await?.into_iter().filter(|row| {
        row.is(Status::Issued) && row.profile == profile.name() && row.not_after > milliseconds(call.now)
    });
    Ok(valid
        .map(|row| Finding {
            rule: "duplicate".to_owned(),
            message: format!(
                "the person has a valid certificate of this profile already, serial number {}",
                row.serial
            ),
        })
        .collect())
}

fn refuse(rule: &str, message: &str) -> Result<Prepared, Vec<Finding>> {
    Err(vec![Finding { rule: rule.to_owned(), message: message.to_owned() }])
}

#[async_trait]
impl LocalActivity for PrepareCertificate {
    const NAME: &'static str = "pki.prepare";

    type Parameters = Parameters;
    type Outcome = Outcome;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Outcome, Failure> {
        match prepare(&self.issuance, tx, call, &parameters).await? {
            Ok(prepared) => {
                let profile = self.issuance.profile(&parameters.profile).ok_or(Failure::Fail(FailureClass::Profile))?;
                let approvals = i64::from(profile.approvals());
                let findings = if approvals > 0 { findings(tx, call, profile).await? } else { Vec::new() };
                Ok(Outcome::Prepared(Admissible { draft: prepared.draft, findings, approvals }))
            }
            Err(findings) => {
                let why = findings.iter().map(|found| found.rule.as_str()).collect::<Vec<_>>().join(", ");
                let event = audit::Event::RequestRefused { why };
                audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
                Ok(Outcome::Refused(Refused { findings }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_said_to_be_somebody_else_has_moved_and_nobody_else() {
        let profile = json!({
            "title": "A profile",
            "subject": ["CN={name}"],
            "key-algorithms": ["p-256"],
            "validity-days": 1,
            "key-usage": ["digital-signature"],
            "alternative-names": ["email"],
        });
        let profile = Profile::new("a-profile", serde_json::from_value(profile).expect("options")).expect("a profile");
        let alice =
            Person { name: "Alice".to_owned(), mail: Some("alice@example.test".to_owned()), ..Person::nobody() };
        let kept = names_digest(&profile, &alice);
        let married = Person { name: "Alice Ho".to_owned(), ..alice.clone() };
        let elsewhere = Person { mail: Some("alice@other.test".to_owned()), ..alice.clone() };
        // What cannot be read, and what the certificate does not say.
        let unread = Person { mail: None, ..alice.clone() };
        let beside = Person { upn: Some("alice@corp.example.test".to_owned()), ..alice.clone() };
        for (today, expected) in [
            (alice, Some(false)),
            (Person { mail: None, ..married.clone() }, Some(true)),
            (married, Some(true)),
            (elsewhere, Some(true)),
            (unread, None),
            (beside, Some(false)),
        ] {
            assert_eq!(names_otherwise(&kept, &today), expected, "{today:?}");
            assert_eq!(names_otherwise("", &today), Some(false), "{today:?}");
        }
    }
}
