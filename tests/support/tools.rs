//! Foreign programs, signals to processes, and independent linters.

use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Whether a process is stopped by a signal: each of its threads (proc(5), the third field of `stat`).
pub fn stands_still(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return false };
    threads.flatten().all(|thread| {
        // One that has ended meanwhile does nothing either.
        let stat = std::fs::read_to_string(thread.path().join("stat"));
        stat.map_or(true, |stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    })
}

/// Waits until a process is stopped by a signal.
pub async fn until_it_stands_still(process: u32) {
    for _ in 0..1200 {
        if stands_still(process) {
            return;
        }
        tokio::time::sleep(super::PAUSE).await;
    }
    panic!("the process did not stop within a minute");
}

/// Stops a process, and waits until it has: the signal is only sent when `kill` returns.
pub async fn stop(process: u32) {
    kill(Pid::from_raw(process.cast_signed()), Signal::SIGSTOP).expect("stopped");
    until_it_stands_still(process).await;
}

/// Lets a process go on.
pub fn go_on(process: u32) {
    kill(Pid::from_raw(process.cast_signed()), Signal::SIGCONT).expect("let go on");
}

/// A shared library of Debian's packages, wherever this kind of machine has it.
pub fn library(name: &str) -> String {
    let found = std::fs::read_dir("/usr/lib").expect("/usr/lib").find_map(|entry| {
        let path: PathBuf = entry.ok()?.path().join(name);
        path.exists().then(|| path.display().to_string())
    });
    found.unwrap_or_else(|| panic!("{name} (make test installs it)"))
}

/// Variables under which a program's clock is ahead.
pub fn later(offset: &str) -> Vec<(String, String)> {
    let library = library("faketime/libfaketime.so.1");
    [("LD_PRELOAD", library.as_str()), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

/// A certificate of nobody's, made by openssl: PEM, in a folder, under a name; its subject in openssl's form.
pub fn self_signed(folder: &Path, name: &str, subject: &str) -> String {
    let [key, certificate] = ["key", "pem"].map(|kind| folder.join(format!("{name}.{kind}")).display().to_string());
    let made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject];
    run("openssl", &[&made[..], &["-keyout", &key, "-out", &certificate]].concat(), &[]);
    certificate
}

/// An independent linter, which finds nothing in these certificates: PEM or DER, of people or of authorities.
pub fn lint_certificates<'a>(certificates: impl IntoIterator<Item = &'a Path>) {
    for certificate in certificates {
        run(&linter("lint_pkix_cert"), &["lint", "-s", "WARNING", certificate.to_str().expect("a path")], &[]);
    }
}

/// The same of revocation lists.
pub fn lint_lists<'a>(lists: impl IntoIterator<Item = &'a Path>) {
    for list in lists {
        let options = ["lint", "-t", "CRL", "-p", "PKIX", "-s", "WARNING", list.to_str().expect("a path")];
        run(&linter("lint_crl"), &options, &[]);
    }
}

fn linter(name: &str) -> String {
    format!("{}/var/tools/pkilint/bin/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Changes a database of SQLite as somebody with its file would.
pub fn sqlite(path: &Path, statements: &str) {
    const SCRIPT: &str =
        "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=30)\nc.executescript(sys.argv[2])\nc.commit()";
    run("python3", &["-c", SCRIPT, path.to_str().expect("a path"), statements], &[]);
}

/// Runs a foreign program; gives what it prints.
pub fn run(program: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> String {
    // What hangs is said to have.
    let output = std::process::Command::new("timeout")
        .args(["60", program])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .envs(environment.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("{program} (make test installs it): {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}
