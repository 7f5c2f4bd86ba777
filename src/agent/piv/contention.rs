//! Cards that another program has: the person is told which one.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use crate::terminal::Say;

/// How long another program may keep a card before the person is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the service for a card, which has no timeout; after [`PATIENCE`] the person is told what it
/// waits for.
pub(super) fn patiently<T>(say: &Say, reader: &str, ask: impl FnOnce() -> T) -> T {
    let (asked, waiting) = mpsc::channel::<()>();
    let (say, reader) = (say.clone(), reader.to_owned());
    std::thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            say(in_use(&reader));
        }
    });
    let answer = ask();
    drop(asked);
    answer
}

/// Says which program has the card: one of those that have loaded the smart card library, as far as
/// this user may look.
pub fn in_use(reader: &str) -> String {
    let programs = programs();
    let who = match programs.as_slice() {
        [] => "Another program".to_owned(),
        names => format!("Another program ({})", names.join(", ")),
    };
    format!("{who} uses the card in {reader}. This continues when that program releases it.")
}

/// Names of other processes that have loaded the smart card library (proc(5), `/proc/<pid>/maps`).
fn programs() -> Vec<String> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let named = processes.filter_map(|process| {
        let id = process.file_name().into_string().ok()?;
        if id == own || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let maps = std::fs::read_to_string(process.path().join("maps")).ok()?;
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
        maps.contains("libpcsclite").then(|| name.trim().to_owned())
    });
    let names: BTreeSet<String> = named.filter(|name| name != "pcscd").collect();
    names.into_iter().collect()
}
