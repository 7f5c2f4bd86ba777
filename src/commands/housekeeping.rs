//! What the portal does by the clock while it is served: starts what is due, has lists renewed, forgets what is over.

use std::time::Duration;

use serde_json::Map;
use tokio_util::sync::CancellationToken;

use crate::audit::Origin;
use crate::auth::header::SYSTEM;
use crate::engine::verbs::Caller;
use crate::portal::Portal;
use crate::store::instances::Filter;
use crate::store::{certificates, instances};

/// How often it is looked at whether something is due.
const TICK: Duration = Duration::from_secs(30);
/// How often what is over is forgotten: every so many ticks.
const FORGET: u32 = 20;

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
        if let Err(error) = refresh_list(&portal).await {
            tracing::error!(%error, "a revocation list could not be asked for");
        }
        portal.engine.start_due(&clock).await;
        if tokio::time::timeout(TICK, stop.cancelled()).await.is_ok() {
            return;
        }
    }
}

/// Lists are made when an authority has none, and again long before its last one is over.
async fn refresh_list(portal: &Portal) -> anyhow::Result<()> {
    let now = portal.clock.now_ms();
    let system = Caller::new(SYSTEM, SYSTEM, &Origin::system("revocation-list"));
    // One that is under way, or stands still, is enough.
    let owner = Some(SYSTEM.to_owned());
    let filter = Filter { workflow: Some("issue-crl".to_owned()), owner, only_open: true, ..Filter::default() };
    if !instances::list(portal.store.read(), &filter, 1).await?.is_empty() {
        return Ok(());
    }
    let half_over =
        |list: &certificates::RevocationListRow| now > list.this_update + (list.next_update - list.this_update) / 2;
    for issuer in portal.issuance.issuers() {
        let list = certificates::latest_list(portal.store.read(), issuer.authority.name()).await?;
        if list.as_ref().is_none_or(half_over) {
            // One makes those of all authorities.
            portal.engine.start(&system, "issue-crl", Map::new(), None).await?;
            break;
        }
    }
    Ok(())
}
