//! `pki.issue-crl`: signs the revocation lists of the authorities concerned, each with everything that is revoked now, under its next number; that
//! something is revoked for good is not said again where the last list says it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use sealwright_pki::revocation::{self, ListError, RevocationReason, Revoked};
use sealwright_pki::signer::SignError;
use serde::{Deserialize, Serialize};
use time::Duration;
use uuid::Uuid;

use crate::activities::{Services, id};
use crate::audit;
use crate::clock::{milliseconds, moment};
use crate::engine::contract::{Activity, Call, Failure, FailureClass, Planned};
use crate::fail_point;
use crate::issuance::{Certificate, Issuance};
use crate::store::certificates::{CertificateRow, RevocationListRow, Status};
use crate::store::{Access, Store, Tx, certificates};

/// How long a list may be used; a new one is made long before.
pub const VALIDITY: Duration = Duration::days(7);

pub struct IssueCrl {
    issuance: Issuance,
    store: Store,
}

impl From<&Services> for IssueCrl {
    fn from(services: &Services) -> Self {
        Self { issuance: services.issuance.clone(), store: services.store.clone() }
    }
}

/// Whose lists: of one authority; else of those that have issued certificates; else of all that sign here.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {
    authority: Option<String>,
    certificates: Option<Vec<Certificate>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    authorities: BTreeSet<String>,
    /// What has changed. Nothing where lists are to be made anew whatever they say.
    certificates: BTreeSet<Uuid>,
}

/// A list as it was signed.
#[derive(Debug)]
struct Signed {
    authority: String,
    der: Vec<u8>,
    number: i64,
    this_update: i64,
    /// The number of the list that was the last one before what is revoked was read.
    follows: Option<i64>,
}

#[derive(Debug)]
pub struct Performed {
    signed: Vec<Signed>,
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
        fail_point!(async "pki.issue-crl");
        let mut performed = Performed { signed: Vec::new(), offline: None };
        let changed = certificates::find_all(self.store.read(), plan.certificates.clone()).await?;
        for authority in &plan.authorities {
            if self.is_said(call, authority, &changed).await? {
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
            // Of two lists made at once the later one is made again: it may not know what the first one did.
            let latest = certificates::latest_list(tx, &list.authority).await?.map(|list| list.number);
            if latest != list.follows {
                return Err(Failure::Retry(FailureClass::Overtaken));
            }
            let row = RevocationListRow {
                tenant: tx.tenant().to_owned(),
                authority: list.authority.clone(),
                number: list.number,
                der: list.der.clone(),
                this_update: list.this_update,
                next_update: list.this_update + milliseconds(time::OffsetDateTime::UNIX_EPOCH + VALIDITY),
            };
            certificates::insert_list(tx, row).await?;
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
    /// Whether an authority's certificates are revoked, and its last list names them so. Of many that are revoked together one list names all. What
    /// can change again is always said anew: a list with what was before may be signed at this moment, and only a newer one keeps it from coming last.
    async fn is_said(&self, call: &Call, authority: &str, changed: &[CertificateRow]) -> Result<bool, Failure> {
        let changed: Vec<&CertificateRow> = changed.iter().filter(|row| row.authority == authority).collect();
        if changed.is_empty() || changed.iter().any(|row| !row.is(Status::Revoked)) {
            return Ok(false);
        }
        let last = certificates::latest_list(self.store.read(), authority).await?;
        let last = last.filter(|list| list.is_good(milliseconds(call.now)));
        let Some((list, issuer)) = last.zip(self.issuance.issuer(authority)) else { return Ok(false) };
        let Some(list) = revocation::read(&issuer.authority, &list.der) else { return Ok(false) };
        let said: BTreeMap<Vec<u8>, RevocationReason> =
            list.revoked.into_iter().map(|revoked| (revoked.serial, revoked.reason)).collect();
        Ok(changed.into_iter().all(|row| {
            let said = serial_bytes(&row.serial).and_then(|serial| said.get(&serial));
            said == Some(&reason(row.reason.as_deref()))
        }))
    }

    /// `None` while the key is away.
    async fn sign(&self, call: &Call, authority: &str) -> Result<Option<Signed>, Failure> {
        // Somebody has taken it out of the configuration; its list may be signed elsewhere now.
        let issuer = self.issuance.issuer(authority).ok_or(Failure::Fail(FailureClass::Authority))?.clone();
        let authority = authority.to_owned();
        let (at, now) = (milliseconds(call.now), call.now);
        let follows = certificates::latest_list(self.store.read(), &authority).await?.map(|list| list.number);
        // The time, so that a number rises also after a restore from a backup that does not know the last ones; and one more than the last, so
        // that it rises also when the clock was set back.
        let number = now.unix_timestamp().max(follows.unwrap_or(0) + 1);
        // RFC 5280 section 3.3: what was revoked is on one regular list still after it has expired. One is made within the time that another is good.
        let since = milliseconds(now - VALIDITY);
        let rows = certificates::revoked(self.store.read(), &authority, since).await?;
        let revoked: Option<Vec<Revoked>> = rows
            .iter()
            .map(|row| {
                Some(Revoked {
                    serial: serial_bytes(&row.serial)?,
                    at: moment(row.revoked_at.unwrap_or(at)),
                    reason: reason(row.reason.as_deref()),
                })
            })
            .collect();
        // A number that cannot be read would revoke another certificate, or none.
        let revoked = revoked.ok_or(Failure::Fail(FailureClass::Serial))?;
        let unsigned = u64::try_from(number).unwrap_or_default();
        let signed = tokio::task::spawn_blocking(move || {
            revocation::list(&issuer.authority, &revoked, unsigned, now, VALIDITY, issuer.signer.as_ref())
        })
        .await;
        match signed {
            Ok(Ok(der)) => Ok(Some(Signed { authority, der, number, this_update: at, follows })),
            Ok(Err(ListError::Sign(SignError::Offline))) => Ok(None),
            // Of another class than a refusal: a key that signs wrongly is not tried again by itself.
            Ok(Err(ListError::Sign(error @ SignError::Wrong))) => {
                tracing::error!(authority, %error, "a revocation list was not signed");
                Err(Failure::Fail(FailureClass::Signature))
            }
            Ok(Err(ListError::Found(finding))) => {
                tracing::error!(authority, ?finding, "a revocation list was not signed");
                Err(Failure::Fail(FailureClass::Lint))
            }
            _ => Err(Failure::Retry(FailureClass::Signer)),
        }
    }
}

/// The reason that the database has a word for.
fn reason(word: Option<&str>) -> RevocationReason {
    RevocationReason::from_word(word.unwrap_or_default())
}

/// A hexadecimal serial number as big-endian bytes.
fn serial_bytes(serial: &str) -> Option<Vec<u8>> {
    let even = if serial.len().is_multiple_of(2) { serial.to_owned() } else { format!("0{serial}") };
    HEXLOWER.decode(even.as_bytes()).ok()
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
