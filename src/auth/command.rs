//! The role handler `command`: an external program is called with the login; exit status 0 grants.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::Semaphore;

/// A program that has not answered by then is ended.
const LIMIT: Duration = Duration::from_secs(5);
/// Programs at the same time; more people wait.
static AT_ONCE: Semaphore = Semaphore::const_new(8);

/// The program gave no answer: it is missing, was ended by a signal or took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the role's command gives no answer")]
pub struct NoAnswer;

/// Asks the program. It gets one argument, no shell, no input, an empty environment, and a process group of its own; what it prints is
/// not read.
///
/// # Errors
/// [`NoAnswer`].
pub async fn grants(program: &Path, login: &str) -> Result<bool, NoAnswer> {
    let _turn = AT_ONCE.acquire().await.map_err(|_| NoAnswer)?;
    let spawned = Command::new(program)
        .arg(login)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = spawned.map_err(|error| {
        tracing::error!(program = %program.display(), %error, "a role's command cannot be started");
        NoAnswer
    })?;
    let group = child.id().map(|id| Pid::from_raw(id.cast_signed()));
    match tokio::time::timeout(LIMIT, child.wait()).await {
        Ok(Ok(status)) if status.signal().is_none() => Ok(status.success()),
        ended => {
            tracing::error!(program = %program.display(), ?ended, "a role's command gives no answer");
            // Whatever it has started goes with it; it may have ended by now.
            if let Some(group) = group {
                let _gone = killpg(group, Signal::SIGKILL);
            }
            Err(NoAnswer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of one line of shell.
    fn program(folder: &tempfile::TempDir, line: &str) -> std::path::PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{line}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
        path
    }

    #[tokio::test]
    async fn the_exit_status_decides() {
        let folder = tempfile::tempdir().expect("a folder");
        let is_alice = program(&folder, "[ $# = 1 ] && [ \"$1\" = alice ] && [ -z \"$HOME\" ]");
        assert_eq!(grants(&is_alice, "alice").await, Ok(true));
        assert_eq!(grants(&is_alice, "bob").await, Ok(false));
        assert_eq!(grants(&is_alice, "$(echo alice)").await, Ok(false));
    }

    #[tokio::test]
    async fn a_program_that_prints_for_ever_is_not_listened_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let loud = program(&folder, "dd if=/dev/zero bs=1M count=64 2>/dev/null");
        assert_eq!(grants(&loud, "alice").await, Ok(true));
    }

    #[tokio::test]
    async fn a_program_that_is_missing_hangs_or_dies_grants_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(grants(Path::new("/nowhere/at/all"), "alice").await, Err(NoAnswer));
        assert_eq!(grants(&program(&folder, "kill -9 $$"), "alice").await, Err(NoAnswer));
        let child = folder.path().join("child");
        let hangs = program(&folder, &format!("sleep 1000 & echo $! > {}; wait", child.display()));
        assert_eq!(grants(&hangs, "alice").await, Err(NoAnswer));
        // What it has started is gone too, or waits to be buried.
        let id = std::fs::read_to_string(child).expect("an id");
        let lives =
            || std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).is_ok_and(|stat| !stat.contains(") Z "));
        let mut tries = 0;
        while lives() && tries < 100 {
            tries += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(tries < 100, "the program's child is still there");
    }
}
