//! `pki.sign`: prepares again, compares with the draft, stores serial number and bytes, then signs.
//!
//! A repeat signs the same stored bytes. One signature is recorded, and only that one leaves the portal.

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_pki::signer::SignError;
use sealwright_protocol::Bytes;
use sealwright_workflow::catalog::CertificateEffect;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::activities::{Services, id};
use crate::audit;
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::directory::Person;
use crate::engine::contract::{Activity, Call, Failure, Planned};
use crate::fail_point;
use crate::issuance::preparation::{self, CertificateRequest, Preparation};
use crate::issuance::signing::{self, Placement, Recorded};
use crate::issuance::{
    Certificate, CertificateHolder, CertificationError, Csr, DraftCertificate, Issuance, NodeClock, SlotName,
};
use crate::store::certificates::CertificateRecord;
use crate::store::{Tx, certificates};

pub struct SignCertificate {
    issuance: Issuance,
    node_clock: NodeClock,
}

impl From<&Services> for SignCertificate {
    fn from(services: &Services) -> Self {
        Self { issuance: services.issuance.clone(), node_clock: services.node_clock.clone() }
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

impl From<CertificateRecord> for Plan {
    fn from(row: CertificateRecord) -> Self {
        Self {
            certificate: row.id,
            authority: row.authority,
            profile: row.profile,
            to_be_signed: Bytes(row.to_be_signed),
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
        // A retry by an operator, perhaps after days. The stored intent has the time, profile and person of
        // then: look the person up and prepare again, as after a key that was offline.
        if certificates::is_intended(tx, call.instance.id, call.step()).await? {
            return Ok(Planned::Done(Outcome::KeyOffline));
        }
        let holder = CertificateHolder::from(&parameters.person);
        let Parameters { csr, profile, .. } = &parameters;
        let asked = CertificateRequest { holder: &holder, csr, profile, instance: call.instance.id };
        // The whole draft is compared, not its digest alone: it is all that was shown.
        let prepared = match preparation::prepare(&self.issuance, tx, &asked, call.now).await? {
            Preparation::Prepared(prepared) if prepared.draft == parameters.draft => prepared,
            _ => return Ok(Planned::Done(Outcome::Changed)),
        };

        let placement = Placement {
            owner_login: call.instance.owner.login.clone(),
            card: parameters.card.map(|card| id(&card.id)).transpose()?,
            slot: parameters.slot,
            instance: call.instance.id,
            step: call.step(),
        };
        let row = signing::intend(tx, *prepared, placement, call.now).await?;
        let event = audit::Event::CertificateIntended {
            authority: row.authority.clone(),
            serial: row.serial.clone(),
            profile: row.profile.clone(),
            subject: row.subject.clone(),
        };
        audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
        Ok(Planned::Perform(Plan::from(row)))
    }

    async fn perform(&self, _: &Call, plan: &Plan) -> Result<Performed, Failure> {
        if !self.node_clock.is_right().await? {
            return Ok(Performed::KeyOffline);
        }
        fail_point!("pki.sign.before");
        let signed = signing::sign(&self.issuance, &plan.authority, &plan.profile, &plan.to_be_signed.0).await;
        fail_point!("pki.sign.after");
        match signed {
            Ok(der) => Ok(Performed::Signed(der)),
            Err(CertificationError::Sign(SignError::Offline)) => Ok(Performed::KeyOffline),
            Err(error) => Err(error.into()),
        }
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, performed: &Performed) -> Result<Outcome, Failure> {
        let Performed::Signed(der) = performed else { return Ok(Outcome::KeyOffline) };
        let (row, fingerprint) = match signing::record(tx, plan.certificate, der).await? {
            Recorded::Issued { row, fingerprint } => (row, fingerprint),
            Recorded::Before(row) => return Ok(Outcome::Signed(Certificate::from_row(&row))),
        };
        let event = audit::Event::CertificateIssued {
            authority: row.authority.clone(),
            serial: row.serial.clone(),
            fingerprint,
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
