//! The private smart card service with its readers, and child processes that end with this one.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A child that ends with this process, however that ends.
pub fn child(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program).kill_on_drop(true);
    command
}

/// A private pcscd with two readers.
pub struct CardService {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl CardService {
    /// Starts the service; gives its socket and the port of each reader too.
    ///
    /// # Errors
    /// The service does not start.
    pub async fn start(folder: &Path, program: &Path) -> anyhow::Result<(Self, PathBuf, Vec<u16>)> {
        let mut readers = child(program)
            .args(["readers", "--count", "2", "--directory"])
            .arg(folder.join("readers"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("setpriv (Debian package util-linux)")?;
        let input = readers.stdin.take().context("no input")?;
        let output = readers.stdout.take().context("no output")?;
        let mut output = BufReader::new(output).lines();
        let line = output.next_line().await?;
        let line = line.context("the private pcscd did not start; see the message above")?;
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        let socket = ready.get("socket").and_then(serde_json::Value::as_str).context("no socket")?;
        let ports = serde_json::from_value(ready.get("ports").cloned().context("no ports")?)?;
        Ok((Self { _process: readers, input, output }, PathBuf::from(socket), ports))
    }

    /// Starts the service again: `restart`, or `unplug` for one without readers.
    ///
    /// # Errors
    /// The service does not come back.
    pub async fn start_again(&mut self, how: &str) -> anyhow::Result<()> {
        self.input.write_all(format!("{how}\n").as_bytes()).await?;
        let line = self.output.next_line().await?;
        anyhow::ensure!(line.as_deref() == Some("started"), "the smart card service did not come back: {line:?}");
        Ok(())
    }
}
