//! `sealwright-demo`: a whole portal on this computer, until Ctrl-C ends it.
//!
//! The portal is the product's program, started as `serve`; the demo stands around it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sealwright_world::open_request::OpenRequest;
use sealwright_world::world::{Programs, World, WorldOptions};
use sealwright_world::{evidence, journey};
use serde_json::Value;

/// Where the demo is found, if nobody else is there.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8800);
/// The PIN that alice chooses.
const PIN: &str = "26114790";

/// A whole portal on this computer, with its own directory, sign-in and virtual smart cards.
#[derive(Parser)]
#[command(name = "sealwright-demo", version, about)]
struct Options {
    /// The folder of the demo; it is emptied first.
    #[arg(long, default_value = "var/demo")]
    directory: PathBuf,
    /// End when alice's card is ready.
    #[arg(long)]
    once: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sealwright-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts everything, goes alice's way, then waits for a person.
///
/// # Errors
/// What keeps the demo from running.
async fn run(options: Options) -> anyhow::Result<()> {
    let wanted = WorldOptions { address: Some(ADDRESS), ..WorldOptions::new(&options.directory, Programs::beside()?) };
    let mut world = World::start(wanted).await?;
    let reader = world.readers.first().cloned().unwrap_or_default();
    let pin_file = world.folder.join("alice-pin");
    std::fs::write(&pin_file, format!("{PIN}\n"))?;
    let journey = journey::run(&world, "alice", &reader, &pin_file).await?;
    evidence::collect(&world, &world.folder.join("out"), &reader, PIN, &journey.view).await?;
    let view: Value = serde_json::from_str(&journey.view)?;
    let time = |name: &str| view.get("times").and_then(|times| times.get(name)).and_then(Value::as_i64).unwrap_or(-1);
    let certificates = view.get("data").and_then(|data| data.get("certificates")).and_then(Value::as_array);
    let mut open_request = None;
    if !options.once {
        world.remove(0).await?;
        open_request = Some(OpenRequest::begin(&mut world).await?);
        println!("dora has begun, and her request waits for an RA operator");
        println!(
            "\nAlice has taken her card out. The portal is at http://{}/ (instance {}).",
            world.proxy, journey.instance
        );
        println!("Pick bob there and personalize his card: his page shows the command for the agent.");
        println!("Ctrl-C ends everything.\n");
    }
    println!(
        "personalized: {} certificates in {} ms (card {} ms, portal {} ms, {} commits)",
        certificates.map_or(0, Vec::len),
        time("total_ms"),
        time("card_ms"),
        time("portal_ms"),
        journey.commits
    );
    if let Some(open_request) = open_request {
        wait(&mut world, open_request).await?;
    }
    Ok(())
}

/// Waits until somebody ends the demo, and does Dora's part meanwhile.
async fn wait(world: &mut World, open_request: OpenRequest) -> anyhow::Result<()> {
    let followed = tokio::select! {
        ended = tokio::signal::ctrl_c() => return Ok(ended?),
        followed = open_request.follow(world) => followed,
    };
    // The rest of the demo goes on without her.
    if let Err(error) = followed {
        eprintln!("sealwright-demo: dora's request: {error:#}");
    }
    Ok(tokio::signal::ctrl_c().await?)
}
