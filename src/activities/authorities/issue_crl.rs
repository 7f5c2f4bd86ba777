//! `pki.issue-crl`: signs the next revocation lists of the authorities concerned.
//!
//! Each list names everything that is revoked now. A revocation that the last list names is not said again.

use std::collections::BTreeSet;

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_pki::signer::SignError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::activities::{Services, id};
use crate::audit;
use crate::clock::milliseconds;
use crate::engine::contract::{Activity, Call, Failure, FailureClass, Planned};
use crate::fail_point;
use crate::issuance::lists::{self, SignedList};
use crate::issuance::{Certificate, CertificationError, Issuance, NodeClock};
use crate::store::{Store, Tx, certificates};

pub struct IssueCrl {
    issuance: Issuance,
    node_clock: NodeClock,
    store: Store,
}

impl From<&Services> for IssueCrl {
    fn from(services: &Services) -> Self {
        let Services { issuance, node_clock, store, .. } = services;
        Self { issuance: issuance.clone(), node_clock: node_clock.clone(), store: store.clone() }
    }
}

/// The authorities: one by its name, else those of the certificates, else all that sign here.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    authority: Option<String>,
    certificates: Option<Vec<Certificate>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    authorities: BTreeSet<String>,
    /// The certificates that have changed; empty if lists are made anew whatever they say.
    certificates: BTreeSet<Uuid>,
}

#[derive(Debug)]
pub struct Performed {
    signed: Vec<SignedList>,
    /// An authority whose key is away: the lists of the others are published all the same.
    offline: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Issued,
    KeyOffline(Away),
}

/// Whose key is away.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Away {
    authority: String,
}

#[async_trait]
impl Activity for IssueCrl {
    const NAME: &'static str = "pki.issue-crl";
    const FAILURES: &'static [FailureClass] = &[FailureClass::Signer, FailureClass::Overtaken];

    type Parameters = Parameters;
    type Plan = Plan;
    type Performed = Performed;
    type Outcome = Outcome;

    async fn plan(&self, tx: &Tx, _: &Call, parameters: Parameters) -> Result<Planned<Plan, Outcome>, Failure> {
        let changed = parameters.certificates.unwrap_or_default();
        let certificates = changed.iter().map(|certificate| id(&certificate.id)).collect::<Result<BTreeSet<_>, _>>()?;
        let authorities = if let Some(authority) = parameters.authority {
            [authority].into()
        } else if certificates.is_empty() {
            self.issuance.issuers().map(|issuer| issuer.authority.name().to_owned()).collect()
        } else {
            let rows = certificates::find_all(tx, certificates.clone()).await?;
            rows.into_iter().map(|row| row.authority).collect()
        };
        Ok(Planned::Perform(Plan { authorities, certificates }))
    }

    async fn perform(&self, call: &Call, plan: &Plan) -> Result<Performed, Failure> {
        fail_point!("pki.issue-crl");
        let mut performed = Performed { signed: Vec::new(), offline: None };
        if !self.node_clock.is_right().await? {
            performed.offline = plan.authorities.first().cloned();
            return Ok(performed);
        }
        let changed = certificates::find_all(self.store.read(), plan.certificates.clone()).await?;
        for authority in &plan.authorities {
            if lists::is_current(&self.issuance, self.store.read(), authority, &changed, call.now).await? {
                continue;
            }
            match self.sign(call, authority).await? {
                Some(signed) => performed.signed.push(signed),
                None => performed.offline = Some(authority.clone()),
            }
        }
        Ok(performed)
    }

    async fn record(&self, tx: &Tx, call: &Call, _: Plan, performed: &Performed) -> Result<Outcome, Failure> {
        tx.lock("revocation lists").await?;
        for list in &performed.signed {
            // The later one of two lists that were made at once is made again.
            if !lists::record(tx, list).await? {
                return Err(Failure::Retry(FailureClass::Overtaken));
            }
            let event = audit::Event::RevocationListIssued { authority: list.authority.clone(), number: list.number };
            audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
        }
        Ok(match &performed.offline {
            Some(authority) => Outcome::KeyOffline(Away { authority: authority.clone() }),
            None => Outcome::Issued,
        })
    }
}

impl IssueCrl {
    /// Signs the next list of an authority. `None` while its key is offline.
    async fn sign(&self, call: &Call, authority: &str) -> Result<Option<SignedList>, Failure> {
        match lists::sign(&self.issuance, self.store.read(), authority, call.now).await {
            Ok(list) => Ok(Some(list)),
            Err(CertificationError::Sign(SignError::Offline)) => Ok(None),
            // Tried again, other than a wrong signature, which an operator has to look into.
            Err(CertificationError::Sign(SignError::Refused) | CertificationError::Encoding) => {
                Err(Failure::Retry(FailureClass::Signer))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["authority: text"],
        state: &["do: pki.issue-crl", "with: { authority: authority }"],
        further_states: "",
        prepare: |_| json!({ "authority": "issuing" }),
        outcome: "issued",
        failure: Failure::Arguments { change: |given| given["authority"] = json!("nobody"), end: Failed::Stuck },
    } }
}
