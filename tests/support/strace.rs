//! Faults of the disk, put into system calls by strace while a program runs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What fails, how, and when: `pwrite64`, `ENOSPC`, `3+7` is every seventh call from the third one on, of each thread.
#[derive(Clone, Copy, Debug)]
pub struct Fault<'a> {
    pub call: &'a str,
    pub error: &'a str,
    pub when: &'a str,
    /// Of this file alone.
    pub path: Option<&'a Path>,
}

impl Fault<'_> {
    pub fn arguments(self, log: &Path) -> Vec<String> {
        let Self { call, error, when, path } = self;
        let inject = format!("inject={call}:error={error}:when={when}");
        let trace = format!("trace={call}");
        let log = log.display().to_string();
        let mut arguments = ["-f", "-qq", "-o", &log, "-e", &trace, "-e", &inject].map(str::to_owned).to_vec();
        if let Some(path) = path {
            arguments.extend(["-P".to_owned(), path.display().to_string()]);
        }
        arguments
    }
}

/// strace, attached to a process: dropped, the disk is well again.
pub struct Strace {
    child: Child,
    log: PathBuf,
}

impl Strace {
    pub async fn attach(process: u32, fault: Fault<'_>, log: &Path) -> Self {
        let child = Command::new("strace")
            .args(fault.arguments(log))
            .args(["-p", &process.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .expect("strace (make test installs it)");
        let mut strace = Self { child, log: log.to_owned() };
        // Attached once the tracer stands in the process's own account (proc(5)).
        let status = format!("/proc/{process}/status");
        for _ in 0..200 {
            let text = std::fs::read_to_string(&status).expect("a process");
            let tracer = text.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap_or_default();
            if tracer.trim() == strace.child.id().to_string() {
                return strace;
            }
            assert!(strace.child.try_wait().expect("a child").is_none(), "strace may not trace here");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("strace did not attach");
    }

    /// How many calls have failed.
    pub fn failed(&self) -> usize {
        count(&self.log)
    }

    /// Lets go of the process; gives how many calls failed.
    pub fn detach(mut self) -> usize {
        self.end();
        count(&self.log)
    }

    fn end(&mut self) {
        let process = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        // Ended by this signal it detaches; killed, too.
        let _sent = nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM);
        drop(self.child.wait());
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.end();
    }
}

/// How many calls of a log failed by intent.
pub fn count(log: &Path) -> usize {
    std::fs::read_to_string(log).unwrap_or_default().matches("(INJECTED)").count()
}
