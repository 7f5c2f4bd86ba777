//! The server program: parses the command line and calls one command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use sealwright::{commands, hsm};
use tokio::runtime::Runtime;

/// Many small pieces of memory are taken and given back by several threads at once, and what a burst took goes back to the system.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Issues, manages and recovers the credentials on people's smart cards, security keys and phones.
#[derive(Parser)]
#[command(name = "sealwright", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the portal.
    Serve {
        #[arg(long, default_value = "/etc/sealwright/sealwright.toml")]
        config: PathBuf,
    },
    /// Verify workflow files or folders, without a path the built-in ones; or a configuration and everything that it names.
    Check {
        paths: Vec<PathBuf>,
        /// A configuration: its workflows, keys, database, directory, roles and authorities are tried.
        #[arg(long, conflicts_with = "paths")]
        config: Option<PathBuf>,
    },
    /// Make certification authorities.
    Ca {
        #[command(subcommand)]
        command: commands::ca::Command,
    },
    /// Follow the audit chain.
    Audit {
        #[command(subcommand)]
        command: commands::audit::Command,
    },
    /// Copy everything that the portal knows to a new folder, while it runs; keys are not in it.
    Backup(commands::backup::BackupOptions),
    /// Make an empty database what it was when a backup was made.
    Restore(commands::backup::RestoreOptions),
    /// Accounts of programs that call the API.
    ServiceAccount(commands::service_account::Options),
    /// A key in a token, for the portal that started this.
    #[command(name = hsm::worker::COMMAND, hide = true)]
    HsmWorker,
}

fn main() -> ExitCode {
    // What is in memory are keys and PINs: no file of it is written when the program dies.
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        eprintln!("sealwright: core dumps cannot be switched off: {error}");
    }
    // Whatever the umask of whoever starts it: what is written is for this user alone, unless it says otherwise.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let result = match Arguments::parse().command {
        Command::Serve { config } => commands::serve::run(&config),
        Command::HsmWorker => return hsm::worker::run(),
        Command::Check { config: Some(config), .. } => wait_for(commands::check_configuration::run(&config)),
        Command::Check { paths, .. } => return commands::check::run(&paths),
        Command::Ca { command } => commands::ca::run(command),
        Command::ServiceAccount(options) => wait_for(commands::service_account::run(options)),
        Command::Audit { command } => wait_for(commands::audit::run(command)),
        Command::Backup(options) => wait_for(commands::backup::backup(&options.config, &options.to)),
        Command::Restore(options) => {
            wait_for(commands::backup::restore(&options.config, &options.from, &options.revocation_list))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sealwright: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn wait_for(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    Runtime::new()?.block_on(command)
}
