//! Waits until the smart card service has noticed that a card was pulled.
//!
//! The service looks at its readers two or three times a second. A card that is pulled and put back in between was never away to it, but the
//! new card is not switched on either: so a card is put back only when its removal was counted.

use std::ffi::CString;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use pcsc::{Context, ReaderState, Scope, State};

const LIMIT: Duration = Duration::from_secs(30);

/// Prints a line when it begins to watch, and returns when the card is gone.
pub fn wait(reader: &str) -> io::Result<()> {
    let context = Context::establish(Scope::User).map_err(io::Error::other)?;
    let name = CString::new(reader).map_err(io::Error::other)?;
    let mut states = [ReaderState::new(name, State::UNAWARE)];
    context.get_status_change(None, &mut states).map_err(io::Error::other)?;
    let [state] = &states;
    let before = state.event_count();
    println!("watching");
    io::stdout().flush()?;
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        for state in &mut states {
            state.sync_current_state();
        }
        match context.get_status_change(Duration::from_secs(1), &mut states) {
            Ok(()) | Err(pcsc::Error::Timeout) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        let [state] = &states;
        if state.event_count() != before && state.event_state().contains(State::EMPTY) {
            return Ok(());
        }
    }
    Err(io::Error::other("the service did not notice within 30 seconds"))
}
