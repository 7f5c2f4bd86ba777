//! The worker as the portal sees it: a child process that answers each line with a line, in time or not at all.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::protocol::{Answer, LONGEST, Request};

/// The word on the command line that makes this program a worker.
pub const COMMAND: &str = "hsm-worker";
/// A module that has not answered by then hangs.
const LIMIT: Duration = Duration::from_secs(10);
/// The same for a key pair that it makes: a small token takes its time for a long one.
const GENERATION_LIMIT: Duration = Duration::from_secs(300);

/// A running worker. Dropping it ends it, whatever it does.
pub struct Worker {
    child: Option<Child>,
    /// What it is asked: a process that stands still reads nothing, and whoever writes to it stands still too.
    requests: SyncSender<String>,
    lines: Receiver<String>,
}

impl Worker {
    pub fn start(program: Option<&Path>) -> std::io::Result<Self> {
        // The very program that runs, even if its file was replaced since.
        let mut command = Command::new(program.unwrap_or(Path::new("/proc/self/exe")));
        command.arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let (started, starting) = sync_channel(1);
        let (sender, lines) = sync_channel(1);
        // The worker ends with the thread that starts it (prctl(2), PR_SET_PDEATHSIG): that one reads all of its answers, where one of the
        // runtime's would end after ten idle seconds.
        std::thread::spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error))),
            };
            let output = child.stdout.take();
            if started.send(Ok(child)).is_ok()
                && let Some(output) = output
            {
                pass_on(output, &sender);
            }
        });
        let mut child = starting.recv().map_err(std::io::Error::other)??;
        let mut input = child.stdin.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
        let (requests, asked) = sync_channel::<String>(1);
        // Ends with the worker, whose end breaks the pipe.
        std::thread::spawn(move || while asked.recv().is_ok_and(|line| input.write_all(line.as_bytes()).is_ok()) {});
        Ok(Self { child: Some(child), requests, lines })
    }

    /// Asks, and waits for the answer. After an error the worker is of no use any more.
    pub fn exchange(&mut self, request: &Request) -> Result<Answer, String> {
        let mut line = serde_json::to_string(request).map_err(|error| error.to_string())?;
        line.push('\n');
        let ended = || "the module's process has ended".to_owned();
        self.requests.try_send(line).map_err(|_| ended())?;
        let limit = if let Request::Generate { .. } = request { GENERATION_LIMIT } else { LIMIT };
        let answer = self.lines.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("the module has not answered in {limit:?}"),
            RecvTimeoutError::Disconnected => ended(),
        })?;
        serde_json::from_str(&answer)
            .map_err(|error| format!("the module's process says what nobody understands: {error}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // It may have ended by itself; one that stands still ends by this too.
        let _gone = child.kill();
        // One that waits for its device in the kernel ends when that answers: nobody waits for it who holds a lock.
        std::thread::spawn(move || child.wait());
    }
}

/// Passes lines on until there are none, one is too long, or nobody wants them any more.
fn pass_on(output: ChildStdout, lines: &SyncSender<String>) {
    let mut output = BufReader::new(output);
    let longest = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    loop {
        let mut line = String::new();
        match output.by_ref().take(longest).read_line(&mut line) {
            Ok(1..) if line.ends_with('\n') && lines.send(line).is_ok() => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::protocol::Algorithm;
    use super::*;

    /// More than a pipe holds: whoever wrote it himself would never come back.
    #[test]
    fn a_process_that_reads_nothing_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("still");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 600\n").expect("written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        let mut worker = Worker::start(Some(&program)).expect("started");
        let long = Request::Sign { message: "A".repeat(1_000_000), algorithm: Algorithm::EcdsaSha256 };
        let refused = worker.exchange(&long).expect_err("nobody answers");
        assert!(refused.contains("has not answered"), "{refused}");
    }
}
