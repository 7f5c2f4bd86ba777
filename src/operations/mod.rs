//! `/health/live`, `/health/ready` and `/metrics` (Prometheus): for the machine that watches, on an address that nobody else reaches.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use futures_util::future::join_all;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use crate::clock::milliseconds;
use crate::desk::{figures, revocation_lists};
use crate::portal::Portal;

/// Upper bounds of durations, in seconds.
const DURATIONS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// A key that has not signed by then is away for whoever watches: they have limits of their own, and would take the whole portal for gone.
const KEY_LIMIT: Duration = Duration::from_secs(2);

/// Begins to count. Once a process.
///
/// # Errors
/// [`BuildError`] when it was begun before.
pub fn count() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATIONS)?
        .install_recorder()
}

/// The same for a database that has not answered: whoever watches must not be left to find out by themselves.
const DATABASE_LIMIT: Duration = Duration::from_secs(5);

/// The routes of this surface.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/health/live", web::get().to(live))
        .route("/health/ready", web::get().to(ready))
        .route("/metrics", web::get().to(metrics));
}

/// The process answers.
async fn live() -> HttpResponse {
    HttpResponse::Ok().body("live\n")
}

/// Whether the portal can do its work, and each part of it.
#[derive(Default, Serialize)]
struct Ready {
    /// Whether it answers. Without it nothing can be done: then the answer is 503.
    database: bool,
    /// Whether it can be written: its disk may be full. As without it.
    writable: bool,
    /// While an authority's is away certificates or lists wait; everything else goes on.
    key: bool,
    /// Whether this node's clock agrees with the database's: while it does not, the node signs nothing.
    clock: bool,
    /// Whether the lists that relying parties have are good still, also those that are signed elsewhere.
    revocation_list: bool,
}

async fn ready(portal: web::Data<Portal>) -> HttpResponse {
    let stored = tokio::time::timeout(DATABASE_LIMIT, stored(&portal));
    let (keys, stored) = tokio::join!(keys_online(&portal), stored);
    let stored = stored.unwrap_or_default();
    let mut ready = Ready { key: keys.into_iter().all(|online| online), ..stored };
    for (_, until) in portal.issuance.lists_valid_until().await {
        ready.revocation_list &= until.is_some_and(|until| until > portal.clock.now());
    }
    match ready.database && ready.writable {
        true => HttpResponse::Ok().json(ready),
        false => HttpResponse::ServiceUnavailable().json(ready),
    }
}

/// What the database says, or that it does not.
async fn stored(portal: &Portal) -> Ready {
    let Ok(clock) = portal.node_clock.is_right().await else { return Ready::default() };
    let written = portal.store.try_to_write().await;
    if let Err(error) = &written {
        tracing::error!(error = error as &dyn std::error::Error, "the database cannot be written");
    }
    let mut ready = Ready { database: true, writable: written.is_ok(), clock, revocation_list: true, key: false };
    for issuer in portal.issuance.issuers() {
        let list = revocation_lists::latest(&portal.store, issuer.authority.name()).await;
        ready.database &= list.is_ok();
        ready.revocation_list &= list.ok().flatten().is_some_and(|list| list.is_good(portal.clock.now_ms()));
    }
    ready
}

async fn metrics(portal: web::Data<Portal>, handle: web::Data<PrometheusHandle>) -> HttpResponse {
    if let Err(error) = gauge(&portal).await {
        // What was counted is told all the same.
        tracing::error!(%error, "the database could not be asked for figures");
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}

/// What is asked of the database when somebody looks.
async fn gauge(portal: &Portal) -> anyhow::Result<()> {
    let store = &portal.store;
    for (status, count) in figures::open_instances(store).await? {
        metrics::gauge!("sealwright_instances_open", "status" => status.as_str()).set(figure(count));
    }
    metrics::gauge!("sealwright_activities_planned").set(figure(figures::planned_activities(store).await?));
    metrics::gauge!("sealwright_audit_unsealed").set(figure(figures::unsealed_events(store).await?));
    let now = portal.clock.now_ms();
    let valid = |authority: &str, until: i64| {
        let left = (until - now).max(0) / 1000;
        metrics::gauge!("sealwright_revocation_list_valid_seconds", "authority" => authority.to_owned())
            .set(figure(left));
    };
    for (name, until) in portal.issuance.lists_valid_until().await {
        valid(name, until.map_or(0, milliseconds));
    }
    for (name, until) in portal.issuance.authorities_valid_until() {
        let left = (milliseconds(until) - now).max(0) / 1000;
        metrics::gauge!("sealwright_authority_valid_seconds", "authority" => name.to_owned()).set(figure(left));
    }
    for (issuer, online) in portal.issuance.issuers().zip(keys_online(portal).await) {
        let name = issuer.authority.name();
        let list = revocation_lists::latest(store, name).await?.filter(|list| list.is_good(portal.clock.now_ms()));
        valid(name, list.map_or(0, |list| list.next_update));
        let online = figure(i64::from(online));
        metrics::gauge!("sealwright_authority_key_online", "authority" => name.to_owned()).set(online);
    }
    Ok(())
}

/// Whether the key of each authority signs now, in their order. All are asked at once: a module that hangs costs its own limit, which is long.
async fn keys_online(portal: &Portal) -> Vec<bool> {
    let probes = portal.issuance.issuers().map(|issuer| tokio::time::timeout(KEY_LIMIT, issuer.probe()));
    let answers = join_all(probes).await;
    answers.into_iter().map(|answer| answer.is_ok_and(|probed| probed.is_ok())).collect()
}

/// A count as a gauge has it: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
fn figure(count: i64) -> f64 {
    count as f64
}
