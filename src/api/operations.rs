//! `/health/live`, `/health/ready` and `/metrics` (Prometheus): for the machine that watches, on an address that nobody else reaches.

use actix_web::{HttpResponse, web};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use crate::portal::Portal;
use crate::store::{StoreError, audits, certificates, instances, work};

/// Upper bounds of durations, in seconds.
const DURATIONS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Begins to count. Once a process.
///
/// # Errors
/// [`BuildError`] when it was begun before.
pub fn count() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATIONS)?
        .install_recorder()
}

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
#[derive(Serialize)]
struct Ready {
    /// Without it nothing can be done: then the answer is 503.
    database: bool,
    /// While it is away certificates wait; everything else goes on.
    key: bool,
    /// Whether the list that relying parties have is good still.
    revocation_list: bool,
}

async fn ready(portal: web::Data<Portal>) -> HttpResponse {
    let Some(issuer) = portal.issuance.issuing() else { return HttpResponse::ServiceUnavailable().finish() };
    let list = certificates::latest_list(portal.store.read(), issuer.authority.name()).await;
    let ready = Ready {
        database: list.is_ok(),
        key: issuer.is_online().await,
        revocation_list: list.ok().flatten().is_some_and(|list| list.next_update > portal.clock.now_ms()),
    };
    match ready.database {
        true => HttpResponse::Ok().json(ready),
        false => HttpResponse::ServiceUnavailable().json(ready),
    }
}

async fn metrics(portal: web::Data<Portal>, handle: web::Data<PrometheusHandle>) -> HttpResponse {
    if let Err(error) = gauge(&portal).await {
        // What was counted is told all the same.
        tracing::error!(%error, "the database could not be asked for figures");
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}

/// What is asked of the database when somebody looks.
async fn gauge(portal: &Portal) -> Result<(), StoreError> {
    let reader = portal.store.read();
    for (status, count) in instances::count_open(reader).await? {
        metrics::gauge!("sealwright_instances_open", "status" => status).set(figure(count));
    }
    metrics::gauge!("sealwright_activities_planned").set(figure(work::count(reader).await?));
    metrics::gauge!("sealwright_audit_unsealed").set(figure(audits::count_unsealed(reader).await?));
    if let Some(issuer) = portal.issuance.issuing() {
        let name = issuer.authority.name();
        let until = certificates::latest_list(reader, name).await?.map_or(0, |list| list.next_update);
        let left = (until - portal.clock.now_ms()).max(0) / 1000;
        metrics::gauge!("sealwright_revocation_list_valid_seconds", "authority" => name.to_owned()).set(figure(left));
        let online = i64::from(issuer.is_online().await);
        metrics::gauge!("sealwright_authority_key_online", "authority" => name.to_owned()).set(figure(online));
    }
    Ok(())
}

/// A count as a gauge has it: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
fn figure(count: i64) -> f64 {
    count as f64
}
