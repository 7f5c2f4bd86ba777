//! Waits until the smart card service has noticed that a card was pulled.
//!
//! The service looks at its readers two or three times a second. A card that is pulled and put back in between was never away to it, but the
//! new card is not switched on either: so a card is put back only when its removal was counted.

use std::ffi::CString;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use pcsc::{Context, ReaderState, Scope, State};

const LIMIT: Duration = Duration::from_secs(30);

/// Prints a line once the service shows a card, and returns when that card is gone.
pub fn wait(reader: &str) -> io::Result<()> {
    let context = Context::establish(Scope::User).map_err(io::Error::other)?;
    let name = CString::new(reader).map_err(io::Error::other)?;
    let mut states = [ReaderState::new(name, State::UNAWARE)];
    // A card that was put in just now is noticed later: its removal would not be counted before.
    let before = until(&context, &mut states, |state| state.event_state().contains(State::PRESENT))?;
    println!("watching");
    io::stdout().flush()?;
    let gone = |state: &ReaderState| state.event_count() != before && state.event_state().contains(State::EMPTY);
    until(&context, &mut states, gone).map(drop)
}

/// Waits for a state of the reader; gives the number of changes that the service has counted by then.
fn until(context: &Context, states: &mut [ReaderState; 1], wanted: impl Fn(&ReaderState) -> bool) -> io::Result<u32> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        match context.get_status_change(Duration::from_secs(1), states) {
            Ok(()) | Err(pcsc::Error::Timeout) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        let [state] = &mut *states;
        if wanted(state) {
            return Ok(state.event_count());
        }
        state.sync_current_state();
    }
    Err(io::Error::other("the service did not notice within 30 seconds"))
}
