//! `pki.sign`: prepares again, compares with what was shown, stores serial number and bytes, and only then touches the key.
//!
//! A repeat signs the same stored bytes; one signature is recorded, and only that one leaves the portal.

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use sealwright_pki::certificate;
use sealwright_pki::signer::SignError;
use sealwright_protocol::Bytes;
use sealwright_workflow::catalog::CertificateEffect;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::prepare_certificate;
use crate::activities::{Services, id};
use crate::audit;
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::directory::Person;
use crate::engine::contract::{Activity, Call, Failure, FailureClass, Planned};
use crate::fail_point;
use crate::issuance::{Certificate, Csr, DraftCertificate, Issuance, SlotName};
use crate::random;
use crate::store::certificates::{CertificateRow, Status};
use crate::store::{Access, Tx, certificates};

pub struct SignCertificate {
    issuance: Issuance,
}

impl From<&Services> for SignCertificate {
    fn from(services: &Services) -> Self {
        Self { issuance: services.issuance.clone() }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    person: Person,
    csr: Csr,
    profile: String,
    draft: DraftCertificate,
    card: Option<Card>,
    slot: Option<SlotName>,
}

/// The intent, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    certificate: Uuid,
    authority: String,
    profile: String,
    to_be_signed: Bytes,
}

impl Plan {
    fn of(row: &CertificateRow) -> Self {
        Self {
            certificate: row.id,
            authority: row.authority.clone(),
            profile: row.profile.clone(),
            to_be_signed: Bytes(row.to_be_signed.clone()),
        }
    }
}

#[derive(Debug)]
pub enum Performed {
    Signed(Vec<u8>),
    KeyOffline,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Signed(Certificate),
    /// The certificate would not be the one that was shown.
    Changed,
    KeyOffline,
}

#[async_trait]
impl Activity for SignCertificate {
    const NAME: &'static str = "pki.sign";
    const CERTIFICATE: CertificateEffect = CertificateEffect::Issues("signed");

    type Parameters = Parameters;
    type Plan = Plan;
    type Performed = Performed;
    type Outcome = Outcome;

    async fn plan(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Planned<Plan, Outcome>, Failure> {
        // An operator lets it try again, perhaps after days: as after a key that was away, the person is looked up and everything is made anew. What
        // was intended then has the time, the profile and the person of then.
        if certificates::is_intended(tx, call.instance.id, call.step()).await? {
            return Ok(Planned::Done(Outcome::KeyOffline));
        }
        let issuer = self.issuance.issuing().ok_or(Failure::Fail(FailureClass::Authority))?;
        let again = prepare_certificate::Parameters {
            person: parameters.person,
            csr: parameters.csr,
            profile: parameters.profile,
        };
        // All that was shown, its words too.
        let prepared = match prepare_certificate::prepare(&self.issuance, tx, call, &again).await? {
            Ok(prepared) if prepared.draft == parameters.draft => prepared,
            _ => return Ok(Planned::Done(Outcome::Changed)),
        };
        let parsed = x509_parser::prelude::FromDer::from_der(&prepared.to_be_signed);
        let (_, parsed): (_, x509_parser::certificate::TbsCertificate<'_>) =
            parsed.map_err(|_| Failure::Fail(FailureClass::Encoding))?;
        let serial = HEXLOWER.encode(parsed.raw_serial());
        let serial = serial.trim_start_matches('0').to_owned();
        let at = milliseconds(call.now);
        let row = CertificateRow {
            tenant: tx.tenant().to_owned(),
            id: random::id(),
            authority: issuer.authority.name().to_owned(),
            serial,
            status: Status::Intended.as_str().to_owned(),
            profile: again.profile,
            person: again.person.id,
            owner_login: call.instance.owner.login.clone(),
            card: parameters.card.map(|card| id(&card.id)).transpose()?,
            slot: parameters.slot.map(|slot| slot.to_protocol().as_str().to_owned()),
            subject: prepared.draft.subject,
            names_digest: prepared.names_digest,
            not_before: parsed.validity().not_before.timestamp() * 1000,
            not_after: parsed.validity().not_after.timestamp() * 1000,
            public_key_digest: prepared.public_key_digest,
            to_be_signed: prepared.to_be_signed.clone(),
            certificate: None,
            fingerprint: None,
            instance: call.instance.id,
            step: call.step(),
            created_at: at,
            revoked_at: None,
            reason: None,
        };
        let event = audit::Event::CertificateIntended {
            authority: row.authority.clone(),
            serial: row.serial.clone(),
            profile: row.profile.clone(),
            subject: row.subject.clone(),
        };
        let plan = Plan::of(&row);
        certificates::insert(tx, row).await?;
        audit::record(tx, &call.origin, Some(call.root), at, &event)?;
        Ok(Planned::Perform(plan))
    }

    async fn perform(&self, _: &Call, plan: &Plan) -> Result<Performed, Failure> {
        let issuer = self.issuance.issuer(&plan.authority).ok_or(Failure::Fail(FailureClass::Authority))?.clone();
        let profile = self.issuance.profile(&plan.profile).ok_or(Failure::Fail(FailureClass::Profile))?;
        let ticket = issuer.authority.admit(&plan.to_be_signed.0, profile).map_err(|findings| {
            tracing::error!(?findings, "stored bytes are not admitted any more");
            Failure::Fail(FailureClass::Lint)
        })?;
        fail_point!(async "pki.sign.before");
        let signed = tokio::task::spawn_blocking(move || ticket.sign(issuer.signer.as_ref())).await;
        fail_point!(async "pki.sign.after");
        match signed {
            Ok(Ok(der)) => Ok(Performed::Signed(der)),
            Ok(Err(SignError::Offline)) => Ok(Performed::KeyOffline),
            Ok(Err(error @ SignError::Wrong)) => {
                tracing::error!(authority = plan.authority, %error, "a certificate was not signed");
                Err(Failure::Fail(FailureClass::Signature))
            }
            Ok(Err(SignError::Refused)) | Err(_) => Err(Failure::Fail(FailureClass::Signer)),
        }
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, performed: &Performed) -> Result<Outcome, Failure> {
        let Performed::Signed(der) = performed else { return Ok(Outcome::KeyOffline) };
        let summary = certificate::summary(der).ok_or(Failure::Fail(FailureClass::Encoding))?;
        let Some(row) = certificates::issue(tx, plan.certificate, der.clone(), &summary.fingerprint).await? else {
            let first = certificates::find(tx, plan.certificate).await?;
            return first
                .map(|row| Outcome::Signed(Certificate::from_row(&row)))
                .ok_or(Failure::Fail(FailureClass::Certificate));
        };
        let event = audit::Event::CertificateIssued {
            authority: row.authority.clone(),
            serial: row.serial.clone(),
            fingerprint: summary.fingerprint,
        };
        audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
        Ok(Outcome::Signed(Certificate::from_row(&row)))
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &[
            "person: person",
            "signed_for: person",
            "csr: optional csr",
            "card: card",
            "profile: text",
            "draft: optional draft-certificate",
            "certificate: optional certificate",
        ],
        state: &[
            "card: generate-key-and-csr",
            "with: { card: card, slot: 9d, algorithm: p-256 }",
            "next: { made: { keep: { csr: result }, to: prepare }, otherwise: ended }",
        ],
        further_states: "  prepare:
    do: pki.prepare
    label: Prepare
    with: { person: person, csr: csr, profile: profile }
    next: { prepared: { keep: { draft: result.draft }, to: sign }, refused: ended }
  sign:
    do: pki.sign
    label: Sign
    with: { person: signed_for, csr: csr, profile: profile, draft: draft, card: card, slot: 9d }
    if-cancelled:
      - { when: 'certificate != null', to: withdraw }
      - { otherwise: ended }
    next: { signed: { keep: { certificate: result }, to: install }, changed: ended, key-offline: ended }
  install:
    card: install-certificate
    label: Install
    with: { card: card, slot: 9d, certificate: certificate }
    if-cancelled: withdraw
    next: { installed: ended, otherwise: withdraw }
  withdraw:
    run: revoke-certificate
    label: Withdraw
    with: { certificate: certificate, reason: superseded }
    as: ca-operator
    if-cancelled: withdraw
    next: { otherwise: ended }
",
        prepare: |world| {
            let data = world.personalize();
            json!({
                "person": data["person"], "signed_for": data["person"], "card": data["card"], "profile": "signature",
            })
        },
        outcome: "installed",
        failure: Failure::Arguments {
            change: |given| given["signed_for"]["name"] = json!("Somebody else"),
            end: Failed::By("changed"),
        },
    } }
}
