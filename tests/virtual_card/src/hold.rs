//! Another program that uses a card: it keeps it for itself, is in the middle of something, or resets it.

use std::ffi::CString;
use std::io::{self, BufRead, Write};

use clap::ValueEnum;
use pcsc::{Context, Disposition, Protocols, Scope, ShareMode};

#[derive(Clone, Copy, ValueEnum)]
pub enum How {
    /// Nobody else may connect.
    Exclusive,
    /// Others wait until this one is done.
    Transaction,
    /// Whatever was verified is forgotten.
    Reset,
}

/// Prints a line once it has the card, and lets go of it when standard input ends; a reset is done at once.
pub fn run(reader: &str, how: How) -> io::Result<()> {
    let context = Context::establish(Scope::User).map_err(io::Error::other)?;
    let name = CString::new(reader).map_err(io::Error::other)?;
    let mode = if matches!(how, How::Exclusive) { ShareMode::Exclusive } else { ShareMode::Shared };
    let mut card = loop {
        match context.connect(&name, mode, Protocols::ANY) {
            // Somebody has just looked at it.
            Err(pcsc::Error::SharingViolation) => std::thread::sleep(std::time::Duration::from_millis(1)),
            other => break other.map_err(io::Error::other)?,
        }
    };
    let wait = || {
        println!("held");
        io::stdout().flush()?;
        io::stdin().lock().lines().try_for_each(|line| line.map(drop))
    };
    match how {
        How::Exclusive => wait()?,
        How::Transaction => {
            let transaction = loop {
                match card.transaction2() {
                    Ok(transaction) => break transaction,
                    // The other one has locked the card again by a reset.
                    Err((card, pcsc::Error::ResetCard)) => {
                        card.reconnect(mode, Protocols::ANY, Disposition::LeaveCard).map_err(io::Error::other)?;
                    }
                    Err((_, error)) => return Err(io::Error::other(error)),
                }
            };
            wait()?;
            transaction.end(Disposition::LeaveCard).map_err(|(_, error)| io::Error::other(error))?;
        }
        How::Reset => {}
    }
    let end = if matches!(how, How::Reset) { Disposition::ResetCard } else { Disposition::LeaveCard };
    card.disconnect(end).map_err(|(_, error)| io::Error::other(error))
}
