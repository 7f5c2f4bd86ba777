//! The worker as the portal sees it: a child process that answers each line with a line, in time or not at all.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::protocol::{Answer, LONGEST, Request};

/// The word on the command line that makes this program a worker.
pub const COMMAND: &str = "hsm-worker";
/// A module that has not answered by then hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// A running worker. Dropping it ends it, whatever it does.
pub struct Worker {
    child: Child,
    /// What it is asked: a process that stands still reads nothing, and whoever writes to it stands still too.
    requests: SyncSender<String>,
    lines: Receiver<String>,
}

impl Worker {
    pub fn start(program: Option<&Path>) -> std::io::Result<Self> {
        // The very program that runs, even if its file was replaced since.
        let program = program.unwrap_or(Path::new("/proc/self/exe"));
        let mut child = Command::new(program)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("no pipes"));
        };
        let (sender, lines) = sync_channel(1);
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            loop {
                let mut line = String::new();
                let longest = u64::try_from(LONGEST).unwrap_or(u64::MAX);
                match output.by_ref().take(longest).read_line(&mut line) {
                    Ok(1..) if line.ends_with('\n') && sender.send(line).is_ok() => {}
                    _ => return,
                }
            }
        });
        let (requests, asked) = sync_channel::<String>(1);
        // Ends with the worker, whose end breaks the pipe.
        std::thread::spawn(move || while asked.recv().is_ok_and(|line| input.write_all(line.as_bytes()).is_ok()) {});
        Ok(Self { child, requests, lines })
    }

    /// Asks, and waits for the answer. After an error the worker is of no use any more.
    pub fn exchange(&mut self, request: &Request) -> Result<Answer, String> {
        let mut line = serde_json::to_string(request).map_err(|error| error.to_string())?;
        line.push('\n');
        let ended = || "the module's process has ended".to_owned();
        self.requests.try_send(line).map_err(|_| ended())?;
        let answer = self.lines.recv_timeout(LIMIT).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("the module has not answered in {LIMIT:?}"),
            RecvTimeoutError::Disconnected => ended(),
        })?;
        serde_json::from_str(&answer)
            .map_err(|error| format!("the module's process says what nobody understands: {error}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; one that stands still ends by this too.
        let _gone = self.child.kill();
        let _status = self.child.wait();
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
