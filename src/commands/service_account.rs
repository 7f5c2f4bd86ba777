//! `sealwright service-account`: who may call the API as a program.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::auth::service_accounts::ServiceAccounts;
use crate::clock::SystemClock;
use crate::config::Configuration;
use crate::portal::open_store;

#[derive(Args)]
pub struct Options {
    #[arg(long, global = true, default_value = "/etc/sealwright/sealwright.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an account; its token is printed once and cannot be read again.
    Add {
        name: String,
        /// `user`, `ra-operator`, `ca-operator` or `auditor`.
        #[arg(long)]
        role: String,
    },
    /// Every account and its role.
    List,
    /// End an account.
    Revoke { name: String },
}

/// # Errors
/// What keeps it from being done.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let configuration = Configuration::read(&options.config)?;
    let accounts = ServiceAccounts::new(open_store(&configuration).await?, Arc::new(SystemClock));
    match options.command {
        Command::Add { name, role } => println!("{}", accounts.add(&name, &role).await?.as_str()),
        Command::List => {
            for account in accounts.list().await? {
                let state = if account.revoked_at.is_some() { "revoked" } else { "good" };
                println!("{}\t{}\t{state}", account.name, account.role);
            }
        }
        Command::Revoke { name } => accounts.revoke(&name).await?,
    }
    Ok(())
}
