//! The world's certification authorities, made by `sealwright ca init` as the README describes.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::private_file;
use crate::random;

/// The label that `sealwright ca init` gives the issuing authority's key in a token.
pub const ISSUING_KEY: &str = "issuing";

/// A PKCS#11 token for the issuing authority's key.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// The vendor's PKCS#11 module, an absolute path.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    pub pin_file: PathBuf,
    /// The program that runs the module, if it is not `sealwright` itself.
    pub worker: Option<PathBuf>,
}

/// Makes a root and an issuing authority in `folder`, with their passphrase in `folder/passphrase`.
/// Key generation and scrypt make this expensive, so every world gets its authorities here.
///
/// # Errors
/// The command fails.
pub async fn make(program: &Path, folder: &Path, public_url: &str, token: Option<&TokenOptions>) -> anyhow::Result<()> {
    let passphrase = folder.join("passphrase");
    std::fs::create_dir_all(folder)?;
    private_file(&passphrase, &random::token()?)?;

    let mut command = Command::new(program);
    command.args(["ca", "init", "--name", "DC=test", "DC=demo", "OU=PKI", "--public-url", public_url]);
    command.arg("--directory").arg(folder).arg("--passphrase-file").arg(&passphrase);
    if let Some(TokenOptions { module, token, pin_file, worker }) = token {
        command.args(["--hsm-token", token]).arg("--hsm-module").arg(module).arg("--hsm-pin-file").arg(pin_file);
        if let Some(worker) = worker {
            command.arg("--hsm-worker").arg(worker);
        }
    }

    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("{} cannot be started", program.display()))?;
    ensure!(output.status.success(), "the authorities were not made: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
