//! `sealwright demo`.

use clap::Args;

#[derive(Args)]
pub struct Options {}

/// # Errors
/// What keeps the demo from running.
pub async fn run(_: Options) -> anyhow::Result<()> {
    Ok(())
}
