//! `pki.issue-crl`: signs a revocation list with everything that is revoked now, under the next number.

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_pki::revocation::{self, ListError, RevocationReason, Revoked};
use sealwright_pki::signer::SignError;
use serde::{Deserialize, Serialize};
use time::Duration;

use super::Rooms;
use crate::audit;
use crate::clock::{milliseconds, moment};
use crate::engine::contract::{Activity, Call, Failure, Planned};
use crate::fail_point;
use crate::issuance::{Issuance, serial_bytes};
use crate::store::certificates::RevocationListRow;
use crate::store::{Access, Store, Tx, certificates};

/// How long a list may be used; a new one is made long before.
pub const VALIDITY: Duration = Duration::days(7);

pub struct IssueCrl {
    issuance: Issuance,
    store: Store,
}

impl IssueCrl {
    pub fn new(rooms: &Rooms) -> Self {
        Self { issuance: rooms.issuance.clone(), store: rooms.store.clone() }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Parameters {}

#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    authority: String,
}

#[derive(Debug, Clone)]
pub enum Performed {
    Signed { der: Vec<u8>, number: i64, this_update: i64 },
    KeyOffline,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Issued,
    KeyOffline,
}

#[async_trait]
impl Activity for IssueCrl {
    const NAME: &'static str = "pki.issue-crl";
    const FAILURES: &'static [&'static str] = &["signer", "overtaken"];

    type Parameters = Parameters;
    type Plan = Plan;
    type Performed = Performed;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, _: Parameters) -> Result<Planned<Plan, Outcome>, Failure> {
        let issuer = self.issuance.issuing().ok_or(Failure::Fail { class: "authority" })?;
        Ok(Planned::Perform(Plan { authority: issuer.authority.name().to_owned() }))
    }

    async fn perform(&self, call: &Call, plan: &Plan) -> Result<Performed, Failure> {
        fail_point!("pki.issue-crl");
        let issuer = self.issuance.issuer(&plan.authority).ok_or(Failure::Fail { class: "authority" })?.clone();
        let at = milliseconds(call.now);
        // The time, so that a number rises also after a restore from a backup that does not know the last ones; and one more than the last, so
        // that it rises also when the clock was set back.
        let latest = certificates::latest_list(self.store.read(), &plan.authority).await?.map_or(0, |list| list.number);
        let number = call.now.unix_timestamp().max(latest + 1);
        let revoked: Vec<Revoked> = certificates::revoked(self.store.read(), &plan.authority, at)
            .await?
            .iter()
            .map(|row| Revoked {
                serial: serial_bytes(&row.serial),
                at: moment(row.revoked_at.unwrap_or(at)),
                reason: RevocationReason::from_word(row.reason.as_deref().unwrap_or_default()),
            })
            .collect();
        let now = call.now;
        let unsigned = u64::try_from(number).unwrap_or_default();
        let signed = tokio::task::spawn_blocking(move || {
            revocation::list(&issuer.authority, &revoked, unsigned, now, VALIDITY, issuer.signer.as_ref())
        })
        .await;
        match signed {
            Ok(Ok(der)) => Ok(Performed::Signed { der, number, this_update: at }),
            Ok(Err(ListError::Sign(SignError::Offline))) => Ok(Performed::KeyOffline),
            Ok(Err(ListError::Found(finding))) => {
                tracing::error!(?finding, "a revocation list was not signed");
                Err(Failure::Fail { class: "lint" })
            }
            _ => Err(Failure::Retry { class: "signer" }),
        }
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, performed: &Performed) -> Result<Outcome, Failure> {
        let Performed::Signed { der, number, this_update } = performed.clone() else { return Ok(Outcome::KeyOffline) };
        // Two lists made at once: the later one is made again, with what the first one did not know.
        let latest = certificates::latest_list(tx, &plan.authority).await?.map_or(0, |list| list.number);
        if latest >= number {
            return Err(Failure::Retry { class: "overtaken" });
        }
        let row = RevocationListRow {
            tenant: tx.tenant().to_owned(),
            authority: plan.authority.clone(),
            number,
            der,
            this_update,
            next_update: this_update + milliseconds(time::OffsetDateTime::UNIX_EPOCH + VALIDITY),
        };
        certificates::insert_list(tx, row).await?;
        let event = audit::Event::RevocationListIssued { authority: plan.authority, number };
        audit::record(tx, &call.origin, Some(call.root), milliseconds(call.now), &event)?;
        Ok(Outcome::Issued)
    }
}
