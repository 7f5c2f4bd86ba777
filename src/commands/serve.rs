//! `sealwright serve`: the portal on its three addresses.

use std::path::Path;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web as actix};
use anyhow::Context;
use serde_json::Map;
use tokio::runtime;
use tokio_util::sync::CancellationToken;

use crate::audit::{Heads, Origin, Sealer};
use crate::auth::header::ProofOptions;
use crate::auth::header::SYSTEM;
use crate::auth::mutual_tls;
use crate::config::Configuration;
use crate::engine::verbs::Caller;
use crate::portal::Portal;
use crate::store::instances::Filter;
use crate::store::{certificates, instances};
use crate::{api, web};

/// The largest form in bytes.
const MAXIMUM_FORM: usize = 64 * 1024;
/// How long a connection may rest: longer than proxies keep theirs (nginx and the Apache example: a minute). Ended from this side it might be just when
/// a request is on its way, which then is lost.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long it is waited at the end for what cannot be broken off.
const LAST_WORK: Duration = Duration::from_secs(5);
/// How often it is looked at whether something is due.
const TICK: Duration = Duration::from_secs(30);
/// How often figures are put together.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often what is over is forgotten: every so many ticks.
const FORGET: u32 = 20;

/// Runs until a signal ends it.
///
/// # Errors
/// What an operator must mend.
pub fn run(path: &Path) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn,sea_orm_migration=warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let configuration = Configuration::read(path)?;
    let mut runtime = runtime::Builder::new_multi_thread();
    // What waits for SQLite's one writer goes on one after another: a second thread would be woken to find nothing to do.
    if configuration.database.starts_with("sqlite:") {
        runtime.worker_threads(1);
    }
    let runtime = runtime.enable_all().build()?;
    let served = runtime.block_on(run_portal(configuration));
    // A disk or a token that hangs does not hold up the end.
    runtime.shutdown_timeout(LAST_WORK);
    served
}

async fn run_portal(configuration: Configuration) -> anyhow::Result<()> {
    let portal = Portal::build(configuration).await?;
    let stop = CancellationToken::new();
    let heads = portal.configuration.audit.as_ref().map(Heads::new).transpose()?;
    let sealer = Sealer::new(portal.store.clone(), portal.clock.clone(), heads);
    let sealing = tokio::spawn(sealer.run(stop.clone()));
    let engine = portal.engine.clone();
    let running = tokio::spawn(async move { engine.run().await });
    let house = tokio::spawn(keep_house(portal.clone(), stop.clone()));
    let served = serve(&portal).await;
    stop.cancel();
    portal.engine.stop();
    running.await?;
    house.await?;
    sealing.await?;
    served
}

async fn serve(portal: &Portal) -> anyhow::Result<()> {
    let options = portal.configuration.server.clone();
    let data = actix::Data::new(portal.clone());
    let pages = data.clone();
    let pages = HttpServer::new(move || {
        App::new()
            .app_data(pages.clone())
            .app_data(actix::FormConfig::default().limit(MAXIMUM_FORM).error_handler(|_, _| {
                web::PageError::new(
                    actix_web::http::StatusCode::BAD_REQUEST,
                    "The form cannot be read",
                    "The form was not complete. Go back, reload the page and try again.",
                )
                .into()
            }))
            .wrap(from_fn(web::observe::observe))
            .configure(api::v1::routes(api::v1::Door::Session))
            .configure(web::routes)
    });
    let pages = match &portal.configuration.sign_in.proof {
        ProofOptions::MutualTls(proof) => {
            let config = mutual_tls::server_config(proof).context("sign-in.proof")?;
            pages.bind_rustls_0_23(options.pages, config)
        }
        _ => pages.bind(options.pages),
    };
    let pages = pages.with_context(|| format!("pages: {}", options.pages))?;
    let pages = pages.keep_alive(KEEP_ALIVE).tcp_nodelay(true).shutdown_timeout(2).run();
    let agents = data.clone();
    let agents = HttpServer::new(move || {
        App::new()
            .app_data(agents.clone())
            .wrap(from_fn(api::nobody_signs_in))
            .wrap(from_fn(web::observe::observe))
            .configure(api::agent::routes)
            .configure(api::v1::routes(api::v1::Door::ServiceAccount))
    })
    .bind(options.agent)
    .with_context(|| format!("agent: {}", options.agent))?
    .keep_alive(KEEP_ALIVE)
    .tcp_nodelay(true)
    .shutdown_timeout(2)
    .run();
    let public = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .wrap(from_fn(api::nobody_signs_in))
            .wrap(from_fn(web::observe::observe))
            .configure(api::public::routes)
    })
    .workers(1)
    .bind(options.public)
    .with_context(|| format!("public: {}", options.public))?
    .tcp_nodelay(true)
    .shutdown_timeout(2)
    .run();
    let operations = operations(portal)?;
    tracing::info!(pages = %options.pages, agent = %options.agent, public = %options.public, "the portal is ready");
    tokio::try_join!(pages, agents, public, operations)?;
    Ok(())
}

/// The surface for the machine that watches, if one is configured.
fn operations(portal: &Portal) -> anyhow::Result<impl Future<Output = std::io::Result<()>> + use<>> {
    let server = match portal.configuration.server.operations {
        None => None,
        Some(address) => {
            let handle = actix::Data::new(api::operations::count()?);
            let kept = handle.clone();
            // What was counted is put together, also when nobody fetches it.
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(UPKEEP).await;
                    kept.run_upkeep();
                }
            });
            let data = actix::Data::new(portal.clone());
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(data.clone())
                    .app_data(handle.clone())
                    .wrap(from_fn(api::nobody_signs_in))
                    .configure(api::operations::routes)
            });
            let server = server.workers(1).bind(address).with_context(|| format!("operations: {address}"))?;
            Some(server.shutdown_timeout(2).run())
        }
    };
    Ok(async move {
        match server {
            Some(server) => server.await,
            None => Ok(()),
        }
    })
}

/// Starts what is due by the clock, as everything by a workflow; forgets old sessions and keys.
async fn keep_house(portal: Portal, stop: CancellationToken) {
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
