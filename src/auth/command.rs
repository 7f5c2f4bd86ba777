//! The role handler `command`: an external program is called with the login; exit status 0 grants.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

/// A program that has not answered by then is ended; the wait for its turn counts.
const LIMIT: Duration = Duration::from_secs(5);
/// Programs at the same time; more people wait.
static AT_ONCE: Semaphore = Semaphore::const_new(8);

/// The program gave no answer: it is missing, was ended by a signal or took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the role's command gives no answer")]
pub struct NoAnswer;

/// Asks the program. It gets one argument, no shell, no input, an empty environment, and a process group of its own, which ends with the
/// answer; what it prints is not read.
///
/// # Errors
/// [`NoAnswer`].
pub async fn grants(program: &Path, login: &str) -> Result<bool, NoAnswer> {
    answer(&AT_ONCE, program, login).await
}

async fn answer(turns: &Semaphore, program: &Path, login: &str) -> Result<bool, NoAnswer> {
    match tokio::time::timeout(LIMIT, run(turns, program, login)).await {
        Ok(Ok(status)) if status.signal().is_none() => Ok(status.success()),
        ended => {
            tracing::error!(program = %program.display(), ?ended, "a role's command gives no answer");
            Err(NoAnswer)
        }
    }
}

async fn run(turns: &Semaphore, program: &Path, login: &str) -> io::Result<ExitStatus> {
    let _turn = turns.acquire().await.map_err(io::Error::other)?;
    // Listened for before it can end.
    let mut ends = signal(SignalKind::child())?;
    let mut child = Command::new(program)
        .arg(login)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let group = child.id().map(|id| Group(Pid::from_raw(id.cast_signed())));
    while group.as_ref().is_some_and(Group::is_led) {
        ends.recv().await;
    }
    drop(group);
    child.wait().await
}

/// A program and whatever it has started, as far as that has stayed in its group. It is ended however the program ended, and also when nobody waits
/// for the answer any more.
struct Group(Pid);

impl Group {
    /// Whether the program itself runs. One that has ended is not buried by the question: its number stays its own until the group is ended, and
    /// is nobody else's group.
    fn is_led(&self) -> bool {
        let asked = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(self.0), asked) == Ok(WaitStatus::StillAlive)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _gone = killpg(self.0, Signal::SIGKILL);
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
        let hangs = program(&folder, "sleep 1000 & echo $! > $0.child; wait");
        assert_eq!(grants(&hangs, "alice").await, Err(NoAnswer));
        until_child_is_gone(&hangs).await;
    }

    #[tokio::test]
    async fn what_a_program_has_started_ends_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let leaves = program(&folder, "sleep 1000 & echo $! > $0.child");
        assert_eq!(grants(&leaves, "alice").await, Ok(true));
        until_child_is_gone(&leaves).await;
    }

    #[tokio::test]
    async fn a_program_ends_when_nobody_waits_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let hangs = program(&folder, "sleep 1000 & echo $! > $0.new; mv $0.new $0.child; wait");
        tokio::select! {
            answered = grants(&hangs, "alice") => panic!("{answered:?}"),
            () = until(|| hangs.with_extension("child").exists()) => {}
        }
        until_child_is_gone(&hangs).await;
    }

    #[tokio::test]
    async fn a_turn_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let yes = program(&folder, "exit 0");
        assert_eq!(answer(&Semaphore::const_new(0), &yes, "alice").await, Err(NoAnswer));
    }

    /// Waits until what a program has noted as its child is gone, or waits to be buried.
    async fn until_child_is_gone(program: &Path) {
        let id = std::fs::read_to_string(program.with_extension("child")).expect("an id");
        let stat = format!("/proc/{}/stat", id.trim());
        until(|| !std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "))).await;
    }

    async fn until(holds: impl Fn() -> bool) {
        for _ in 0..200 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not come to hold");
    }
}
