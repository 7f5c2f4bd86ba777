//! Named places where a test ends the process as `kill -9` would. Absent from release builds. The portal has the same.

#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        #[cfg(feature = "fail-points")]
        $crate::fail_point::reached($name);
    };
}

/// Ends the process if `SEALWRIGHT_FAIL_POINT` names this place; writes its name to `SEALWRIGHT_FAIL_POINT_LOG`.
#[cfg(feature = "fail-points")]
#[expect(clippy::disallowed_methods, reason = "a test names the place in the environment")]
pub fn reached(name: &str) {
    use std::io::Write;
    if let Some(path) = std::env::var_os("SEALWRIGHT_FAIL_POINT_LOG") {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path);
        if let Ok(mut log) = log {
            let _unwritten = writeln!(log, "{name}");
        }
    }
    if std::env::var("SEALWRIGHT_FAIL_POINT").is_ok_and(|wanted| wanted == name) {
        let _unreachable = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
}
