//! Named places where a test ends the process as `kill -9` would. Absent from release builds.
//!
//! `SEALWRIGHT_FAIL_POINT=<name>` ends the process when the place is reached, `<name>:<n>` at the n-th time.
//! `SEALWRIGHT_FAIL_POINT_LOG=<file>` writes down every name that is reached. The list of names is made from the sources by
//! `tests/engine/fail_points.rs`, which fails when a commit, effect or job site has none or when one was never reached.

/// Marks a place.
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        #[cfg(feature = "fail-points")]
        $crate::fail_point::reached($name);
    };
}

/// Ends the process if this is the place that was asked for.
#[cfg(feature = "fail-points")]
#[expect(clippy::disallowed_methods, reason = "a test names the place in the environment")]
pub fn reached(name: &str) {
    use std::io::Write;
    use std::sync::atomic::{AtomicU32, Ordering};

    static PASSED: AtomicU32 = AtomicU32::new(0);
    if let Some(path) = std::env::var_os("SEALWRIGHT_FAIL_POINT_LOG") {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path);
        // A log that cannot be written shows as a place never reached.
        if let Ok(mut log) = log {
            let _unwritten = writeln!(log, "{name}");
        }
    }
    let Ok(wanted) = std::env::var("SEALWRIGHT_FAIL_POINT") else { return };
    let (wanted, times) = match wanted.split_once(':') {
        Some((wanted, times)) => (wanted.to_owned(), times.parse().unwrap_or(1)),
        None => (wanted, 1),
    };
    if wanted == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == times {
        let _unreachable = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
}
