//! What the portal does by the clock while it is served: starts what is due, has lists renewed, forgets what is over.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::audit::Origin;
use crate::auth::header::SYSTEM;
use crate::engine::verbs::Caller;
use crate::portal::Portal;
use crate::store::instances::Filter;
use crate::store::revocation_lists::RevocationListRecord;
use crate::store::{instances, revocation_lists};

/// How often it is looked at whether something is due.
const TICK: Duration = Duration::from_secs(30);
/// How often what is over is forgotten: every so many ticks.
const FORGET: u32 = 20;
/// The workflow that makes a list.
const ISSUE_CRL: &str = "issue-crl";
/// More open instances of it than authorities there are; those that people have started are not the clock's.
const MOST: u64 = 100;

/// Starts what is due by the clock, as everything by a workflow; forgets old sessions and keys.
pub(super) async fn keep_house(portal: Portal, stop: CancellationToken) {
    let clock = Caller::new(SYSTEM, SYSTEM, &Origin::system("clock"));
    for tick in 0_u32.. {
        if tick.is_multiple_of(FORGET) {
            if let Err(error) = portal.sessions.expire().await {
                tracing::error!(%error, "old sessions could not be forgotten");
            }
            if let Err(error) = portal.engine.forget_keys().await {
                tracing::error!(%error, "old idempotency keys could not be forgotten");
            }
        }
        if let Err(error) = portal.refusals.sum_up(&portal.store, portal.clock.now_ms()).await {
            tracing::error!(%error, "refusals could not be summed up");
        }
        if let Err(error) = refresh_lists(&portal).await {
            tracing::error!(%error, "a revocation list could not be asked for");
        }
        if let Err(error) = portal.engine.make_up_attempts().await {
            tracing::error!(%error, "attempts that were put off could not be looked for");
        }
        portal.engine.start_due(&clock).await;
        if tokio::time::timeout(TICK, stop.cancelled()).await.is_ok() {
            return;
        }
    }
}

/// Lists are made when an authority has none, and again long before its last one is over; each by an instance of its own, so that a key that is
/// away or of no use keeps no other authority from its list.
async fn refresh_lists(portal: &Portal) -> anyhow::Result<()> {
    let system = Caller::new(SYSTEM, SYSTEM, &Origin::system("revocation-list"));
    // One that has not begun was made while the clock was ahead: nobody takes it until then, which may be in a year.
    let is_over_soon = |list: &RevocationListRecord, now: i64| {
        !list.is_good(now) || now > list.this_update + (list.next_update - list.this_update) / 2
    };
    for issuer in portal.issuance.issuers() {
        let authority = issuer.authority.name();
        let list = revocation_lists::latest(portal.store.read(), authority).await?;
        let now = portal.clock.now_ms();
        // One that is under way, or is stuck, is enough.
        if list.is_none_or(|list| is_over_soon(&list, now)) && !is_under_way(portal, authority).await? {
            let arguments = Map::from_iter([("authority".to_owned(), authority.into())]);
            portal.engine.start_own(&system, ISSUE_CRL, arguments).await?;
        }
    }
    Ok(())
}

/// Whether an instance of the clock's is open that makes an authority's list.
async fn is_under_way(portal: &Portal, authority: &str) -> anyhow::Result<bool> {
    let owner = Some(SYSTEM.to_owned());
    let filter = Filter { workflow: Some(ISSUE_CRL.to_owned()), owner, only_open: true, ..Filter::default() };
    for open in instances::list(portal.store.read(), &filter, MOST).await? {
        let found = instances::find(portal.store.read(), open.id).await?;
        if found.is_some_and(|found| found.instance.data.get("authority").and_then(Value::as_str) == Some(authority)) {
            return Ok(true);
        }
    }
    Ok(false)
}
