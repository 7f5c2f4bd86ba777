//! `sealwright serve`: the portal on its addresses, for pages, agents and the public, and for the machine that watches.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web as actix};
use anyhow::Context;
use tokio::runtime;
use tokio_util::sync::CancellationToken;

use super::housekeeping;
use crate::audit::{Heads, Sealer};
use crate::auth::header::ProofOptions;
use crate::auth::mutual_tls;
use crate::clock::SystemClock;
use crate::config::Configuration;
use crate::portal::Portal;
use crate::{agents, api, http, operations, public, web};

/// The largest form in bytes.
const MAXIMUM_FORM: usize = 64 * 1024;
/// How long a connection may rest: longer than proxies keep theirs (nginx and the Apache example: a minute). Ended from this side it might be just when
/// a request is on its way, which then is lost.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long it is waited at the end for what cannot be broken off.
const LAST_WORK: Duration = Duration::from_secs(5);
/// How often figures are put together.
const UPKEEP: Duration = Duration::from_secs(5);

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
    let portal = Portal::build(configuration, Arc::new(SystemClock)).await?;
    let stop = CancellationToken::new();
    let heads = portal.configuration.audit.as_ref().map(Heads::new).transpose()?;
    let sealer = Sealer::new(portal.store.clone(), portal.clock.clone(), heads);
    let sealing = tokio::spawn(sealer.run(stop.clone()));
    let engine = portal.engine.clone();
    let running = tokio::spawn(async move { engine.run().await });
    let house = tokio::spawn(housekeeping::keep_house(portal.clone(), stop.clone()));
    let served = serve(&portal).await;
    stop.cancel();
    portal.engine.stop();
    running.await?;
    house.await?;
    sealing.await?;
    served
}

async fn serve(portal: &Portal) -> anyhow::Result<()> {
    let (pages, agents, public, operations) = (pages(portal)?, agents(portal)?, public(portal)?, operations(portal)?);
    let options = &portal.configuration.server;
    tracing::info!(pages = %options.pages, agent = %options.agent, public = %options.public, "the portal is ready");
    tokio::try_join!(pages, agents, public, operations)?;
    Ok(())
}

/// The surface for people, and for their programs, who have signed in.
fn pages(portal: &Portal) -> anyhow::Result<Server> {
    let data = actix::Data::new(portal.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(http::Face(web::error_page))
            .app_data(
                actix::FormConfig::default()
                    .limit(MAXIMUM_FORM)
                    .error_handler(|error, _| http::unreadable_form(&error).into()),
            )
            // No page is asked for like that.
            .app_data(actix::QueryConfig::default().error_handler(|_, _| http::Failure::not_found().into()))
            .app_data(actix::PathConfig::default().error_handler(|_, _| http::Failure::not_found().into()))
            .wrap(from_fn(http::end_slow_bodies))
            .wrap(from_fn(http::observe::observe))
            .configure(api::routes(api::Door::Session))
            .configure(web::routes)
    });
    let address = portal.configuration.server.pages;
    let server = match &portal.configuration.sign_in.proof {
        ProofOptions::MutualTls(proof) => {
            server.bind_rustls_0_23(address, mutual_tls::server_config(proof).context("sign-in.proof")?)
        }
        _ => server.bind(address),
    };
    let server = server.with_context(|| format!("pages: {address}"))?;
    Ok(server.keep_alive(KEEP_ALIVE).tcp_nodelay(true).shutdown_timeout(2).run())
}

/// The surface for agents, and for programs with a service account.
fn agents(portal: &Portal) -> anyhow::Result<Server> {
    let data = actix::Data::new(portal.clone());
    let places = agents::Places::default();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .wrap(from_fn(http::reject_identity_headers))
            .wrap(from_fn(http::end_slow_bodies))
            .wrap(from_fn(http::observe::observe))
            .configure(agents::routes(places.clone()))
            .configure(api::routes(api::Door::ServiceAccount))
    });
    let address = portal.configuration.server.agent;
    let server = server.bind(address).with_context(|| format!("agent: {address}"))?;
    Ok(server.keep_alive(KEEP_ALIVE).tcp_nodelay(true).shutdown_timeout(2).run())
}

/// The surface for relying parties.
fn public(portal: &Portal) -> anyhow::Result<Server> {
    let data = actix::Data::new(portal.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .wrap(from_fn(http::reject_identity_headers))
            .wrap(from_fn(http::end_slow_bodies))
            .wrap(from_fn(http::observe::observe))
            .configure(public::routes)
    });
    let address = portal.configuration.server.public;
    let server = server.workers(1).bind(address).with_context(|| format!("public: {address}"))?;
    Ok(server.tcp_nodelay(true).shutdown_timeout(2).run())
}

/// The surface for the machine that watches, if one is configured.
fn operations(portal: &Portal) -> anyhow::Result<impl Future<Output = std::io::Result<()>> + use<>> {
    let server = match portal.configuration.server.operations {
        None => None,
        Some(address) => {
            let handle = actix::Data::new(operations::count()?);
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
                    .wrap(from_fn(http::reject_identity_headers))
                    .wrap(from_fn(http::end_slow_bodies))
                    .configure(operations::routes)
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
