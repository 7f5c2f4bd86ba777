//! The command `connect`: one sitting with a portal, from the code to the end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use crate::configuration::Configuration;
use crate::conversation::Conversation;
use crate::error::Error;
use crate::journal::Journal;
use crate::pin_session::PinSession;
use crate::{terminal, worker};

/// How long the worker may take to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Pairs or resumes with the portal of a code, and does the jobs of that pairing until it is
/// finished.
///
/// # Errors
/// The text that the person reads.
pub fn run(
    configuration: Configuration,
    code: &str,
    portal: Option<String>,
    pin_fd: Option<i32>,
    reader: Option<String>,
) -> Result<(), Error> {
    let (portal, code) = target(code, portal.or_else(|| configuration.portal.clone()))?;
    configuration.trust(&portal)?;

    let pins = PinSession::new(pin_fd)?;
    let journal = Arc::new(Mutex::new(Journal::open(&configuration.state, &portal, &code)?));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Error::say("The agent cannot start."))?;
    let modules = configuration.modules.clone();
    let (channels, thread) = worker::start(journal.clone(), pins, reader, modules);

    let mut conversation = Conversation::new(portal, code, configuration.ca_file, journal, channels);
    let result = runtime.block_on(async {
        tokio::select! {
            result = conversation.run() => result,
            () = interrupted() => Err(Error::say("The agent was stopped. Start the same command again to go on: nothing is lost.")),
        }
    });
    // There may be no terminal.
    drop(terminal::show_input());
    conversation.end();
    // A thread may wait for a line of the terminal, for longer than this process is there.
    runtime.shutdown_background();

    // Without orders the worker ends, unless somebody is asked for a PIN. A module must not be at
    // work while the process ends.
    let limit = Instant::now() + LAST_WORDS;
    while !thread.is_finished() && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(5));
    }
    // A question of the worker may have hidden the input again.
    drop(terminal::show_input());
    result
}

/// Waits for a signal that ends a program of a terminal.
async fn interrupted() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    let Ok(mut signals) = kinds.into_iter().map(signal).collect::<Result<Vec<_>, _>>() else {
        return std::future::pending().await;
    };
    let received = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures_util::future::select_all(received).await;
}

/// Reads `sealwright://host/CODE`, or a typed code and the portal's address: gives the address and
/// the code.
fn target(code: &str, portal: Option<String>) -> Result<(String, String), Error> {
    let (portal, code) = if let Some(link) = code.strip_prefix("sealwright://") {
        let (host, code) = link.split_once('/').ok_or_else(|| Error::say("The link is not complete."))?;
        let scheme = if host == "127.0.0.1" || host.starts_with("127.0.0.1:") { "http" } else { "https" };
        (format!("{scheme}://{host}"), code)
    } else {
        (portal.ok_or_else(|| Error::say("Say which portal the code is from: --portal https://…"))?, code)
    };
    // Text before an @ is user information (RFC 3986 section 3.2.1), and looks like a host to the
    // person who is asked for trust.
    if portal.contains('@') {
        return Err(Error::say("The portal's address must name a host alone, without anything before an @."));
    }
    Ok((portal, code.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_its_portal_and_no_other() {
        let target = |link: &str| target(link, None).map(|(portal, _)| portal).ok();
        assert_eq!(target("sealwright://portal.example.org/c0de").as_deref(), Some("https://portal.example.org"));
        assert_eq!(target("sealwright://127.0.0.1:8443/c0de").as_deref(), Some("http://127.0.0.1:8443"));
        assert_eq!(target("sealwright://127.0.0.1.example.org/c0de").as_deref(), Some("https://127.0.0.1.example.org"));
        for link in ["sealwright://portal.example.org@example.net/c0de", "sealwright://127.0.0.1:80@example.net/c0de"] {
            assert_eq!(target(link), None, "{link}");
        }
    }
}
