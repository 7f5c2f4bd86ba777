//! `sealwright audit`: follows the audit chain.

use std::path::PathBuf;

use clap::Subcommand;

use crate::audit;
use crate::clock::{Clock, SystemClock};
use crate::config::Configuration;
use crate::store::Store;

#[derive(Subcommand)]
pub enum Command {
    /// Finds edits, removals, reorderings and rows that are not sealed.
    Verify {
        #[arg(long, default_value = "/etc/sealwright/sealwright.toml")]
        config: PathBuf,
    },
}

/// # Errors
/// Every problem that was found.
pub async fn run(command: Command) -> anyhow::Result<()> {
    let Command::Verify { config } = command;
    let configuration = Configuration::read(&config)?;
    let store = Store::open(&configuration.database, &configuration.tenant).await?;
    let (head, problems) = audit::verify(store.read(), SystemClock.now_ms()).await?;
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        anyhow::bail!("the audit chain has {} problems", problems.len());
    }
    match head {
        Some((sequence, hash)) => println!("the audit chain is whole: {sequence} records, head {hash}"),
        None => println!("the audit chain is empty"),
    }
    Ok(())
}
