//! Named places where a test ends or stops the process. Absent from release builds. Portal and agent share this file.
//!
//! `SEALWRIGHT_FAIL_POINT=<name>` ends the process as `kill -9` does when the place is reached, `<name>:<n>` at the n-th time.
//! `SEALWRIGHT_FAIL_POINT_SIGNAL=STOP` makes it stand still there instead, until the test lets it go on. `tests/journey/crashes.rs`
//! makes the list of places from the sources, and fails when a commit, effect or job has none or when one is never reached.

/// Marks a place in asynchronous code of the server: `fail_point!(async "store.commit")`. In the agent, whose jobs block: `fail_point!("agent.report")`.
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        #[cfg(feature = "fail-points")]
        $crate::fail_point::reached($name);
    };
    (async $name:literal) => {
        #[cfg(any(test, feature = "fail-points"))]
        $crate::in_process::reached($name).await;
    };
}

/// Ends or stops the process if this is the place that was asked for.
#[cfg(feature = "fail-points")]
#[expect(clippy::disallowed_methods, reason = "a test names the place in the environment")]
pub fn reached(name: &str) {
    use std::sync::atomic::{AtomicU32, Ordering};

    use nix::sys::signal::{Signal, raise};

    static PASSED: AtomicU32 = AtomicU32::new(0);
    let Ok(wanted) = std::env::var("SEALWRIGHT_FAIL_POINT") else { return };
    let (wanted, times) = match wanted.split_once(':') {
        Some((wanted, times)) => (wanted.to_owned(), times.parse().unwrap_or(1)),
        None => (wanted, 1),
    };
    if wanted == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == times {
        let stops = std::env::var_os("SEALWRIGHT_FAIL_POINT_SIGNAL").is_some_and(|signal| signal == "STOP");
        let _unreachable = raise(if stops { Signal::SIGSTOP } else { Signal::SIGKILL });
    }
}
