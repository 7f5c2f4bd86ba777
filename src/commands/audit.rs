//! `sealwright audit`: follows the audit chain, and erases a person from it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;

use crate::audit::{self, Heads, Sealer};
use crate::clock::{Clock, SystemClock};
use crate::config::Configuration;
use crate::portal::open_store;
use crate::store::{Access, Store, StoreError};

#[derive(Subcommand)]
pub enum Command {
    /// Find edits, removals, reorderings, a chain cut off before an exported head, and rows that are not sealed.
    Verify {
        #[arg(long, default_value = "/etc/sealwright/sealwright.toml")]
        config: PathBuf,
    },
    /// Erase what sealed records tell of a person; the chain still holds.
    Erase {
        #[arg(long, default_value = "/etc/sealwright/sealwright.toml")]
        config: PathBuf,
        /// The person's login.
        login: String,
    },
}

/// # Errors
/// Every problem that was found.
pub async fn run(command: Command) -> anyhow::Result<()> {
    let config = match &command {
        Command::Verify { config } | Command::Erase { config, .. } => config,
    };
    let configuration = Configuration::read(config)?;
    let store = open_store(&configuration).await?;
    match command {
        Command::Verify { .. } => verify(&configuration, &store).await,
        Command::Erase { login, .. } => {
            let at = SystemClock.now_ms();
            // What was written just now is sealed first, so that nothing is passed over.
            Sealer::new(store.clone(), Arc::new(SystemClock), None).seal_all().await?;
            let erased = store.write::<_, StoreError, _, _>(move |tx| {
                let login = login.clone();
                async move { audit::erase(&tx, &login, at).await }
            });
            println!("{} records erased", erased.await?);
            Ok(())
        }
    }
}

async fn verify(configuration: &Configuration, store: &Store) -> anyhow::Result<()> {
    let heads = match &configuration.audit {
        Some(options) => Some(Heads::new(options)?.read(store.read().tenant())?),
        None => None,
    };
    let chain = audit::verify(store.read(), heads.as_deref(), SystemClock.now_ms()).await?;
    for problem in &chain.problems {
        println!("{problem}");
    }
    if !chain.problems.is_empty() {
        anyhow::bail!("the audit chain has {} problems", chain.problems.len());
    }
    match chain.head {
        Some((sequence, hash)) => println!(
            "the audit chain is whole: {sequence} records ({} erased), {} exported heads, head {hash}",
            chain.erased,
            heads.map_or(0, |heads| heads.len())
        ),
        None => println!("the audit chain is empty"),
    }
    Ok(())
}
