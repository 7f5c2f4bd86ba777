//! The desktop program: the card in the reader, on behalf of its person. It calls out; nothing
//! listens.

mod card;
mod commands;
mod configuration;
mod connection;
mod conversation;
mod error;
#[path = "../fail_point.rs"]
mod fail_point;
mod job;
mod jobs;
mod journal;
mod pin_session;
mod piv;
mod private_file;
mod public_key;
mod readers;
mod terminal;
mod token;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, setrlimit};

/// The card in the reader, on behalf of its person.
#[derive(Parser)]
#[command(name = "sealwright-agent", version, about)]
struct Arguments {
    /// The configuration file; else `sealwright-agent.toml` in the configuration folder.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List readers and the cards in them.
    Cards {
        /// As JSON: a list of readers, each with the serial number of its card.
        #[arg(long)]
        json: bool,
    },
    /// Wait for cards and codes, one after another, until the input ends.
    Run {
        /// The portal's address for agents, if the configuration does not say it.
        #[arg(long)]
        portal: Option<String>,
        /// Use only readers whose name contains this.
        #[arg(long)]
        reader: Option<String>,
    },
    /// Connect to a portal with the code from its page, and do what the page asks the card to do.
    Connect {
        /// The code, or the whole `sealwright://` link.
        code: String,
        /// The portal's address for agents; needed with a typed code.
        #[arg(long)]
        portal: Option<String>,
        /// Read the PIN from this open file descriptor instead of asking.
        #[arg(long)]
        pin_fd: Option<i32>,
        /// Use only readers whose name contains this.
        #[arg(long)]
        reader: Option<String>,
    },
}

fn main() -> ExitCode {
    // Memory holds PINs and a card's secrets: no core dump is written.
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        eprintln!("sealwright-agent: core dumps cannot be switched off: {error}");
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .finish();
    // Records of the `log` crate are not collected: the WebSocket library logs every message, and
    // some hold a card's secrets.
    if let Err(error) = tracing::subscriber::set_global_default(log) {
        eprintln!("sealwright-agent: nothing is logged: {error}");
    }
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Cards { json } => configuration::Configuration::read(arguments.config)
            .and_then(|configuration| commands::cards::run(&configuration.modules, json)),
        Command::Run { portal, reader } => commands::run::run(arguments.config, portal, reader),
        Command::Connect { code, portal, pin_fd, reader } => configuration::Configuration::read(arguments.config)
            .and_then(|configuration| commands::connect::run(configuration, &code, portal, pin_fd, reader)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
