//! Readers and the cards in them, over PC/SC.

use std::ffi::{CStr, CString};
use std::time::Duration;

use pcsc::{Card, Context, Disposition, Protocols, ReaderState, Scope, ShareMode, State};
use sealwright_protocol::Reader;

use crate::Error;
use crate::piv::{Piv, PivError, Transport};

/// The connection to the smart card service.
pub struct Readers {
    context: Context,
    /// Only readers whose name contains this.
    only: Option<String>,
}

impl Readers {
    /// # Errors
    /// [`Error::Service`].
    pub fn new(only: Option<String>) -> Result<Self, Error> {
        let context = Context::establish(Scope::User).map_err(Error::Service)?;
        Ok(Self { context, only })
    }

    fn names(&self) -> Vec<CString> {
        let names = self.context.list_readers_owned().unwrap_or_default();
        names
            .into_iter()
            .filter(|name| self.only.as_ref().is_none_or(|only| name.to_string_lossy().contains(only.as_str())))
            .collect()
    }

    /// Every reader, and the serial number of a PIV card in it.
    pub fn list(&self) -> Vec<Reader> {
        self.names()
            .iter()
            .map(|name| Reader {
                name: name.to_string_lossy().into_owned(),
                card: self.open(name).ok().and_then(|mut open| open.serial().ok()),
            })
            .collect()
    }

    /// The card with this serial number. `None` when it is not there now.
    pub fn find(&self, serial: &str) -> Option<OpenCard> {
        self.all().into_iter().find(|(found, _)| found == serial).map(|(_, open)| open)
    }

    /// Every PIV card and its serial number.
    pub fn all(&self) -> Vec<(String, OpenCard)> {
        let names = self.names();
        let opened = names.iter().filter_map(|name| {
            let mut open = self.open(name).ok()?;
            Some((open.serial().ok()?, open))
        });
        opened.collect()
    }

    fn open(&self, name: &CStr) -> Result<OpenCard, pcsc::Error> {
        let card = self.context.connect(name, ShareMode::Shared, Protocols::ANY)?;
        Ok(OpenCard { card: Some(card), reader: name.to_string_lossy().into_owned() })
    }

    /// Waits until something changes at a reader, or the time is over.
    pub fn wait(&self, limit: Duration) {
        let names = self.names();
        let mut states: Vec<ReaderState> =
            names.into_iter().map(|name| ReaderState::new(name, State::UNAWARE)).collect();
        if states.is_empty() {
            std::thread::sleep(limit);
            return;
        }
        // The first call tells the present state, the second one waits for a change of it.
        if self.context.get_status_change(Duration::ZERO, &mut states).is_ok() {
            for state in &mut states {
                state.sync_current_state();
            }
            match self.context.get_status_change(limit, &mut states) {
                Ok(()) | Err(pcsc::Error::Timeout) => {}
                // The service or the reader went away: look again later.
                Err(_) => std::thread::sleep(limit),
            }
        } else {
            std::thread::sleep(limit);
        }
    }
}

/// A card in a reader, connected.
pub struct OpenCard {
    /// `None` only while it is dropped.
    card: Option<Card>,
    pub reader: String,
}

/// How a transaction leaves the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing was unlocked.
    AsItIs,
    /// A PIN or key was verified: the card forgets it before another program can use it.
    Locked,
}

impl OpenCard {
    /// # Errors
    /// [`PivError`] for a card that is gone or has no PIV application.
    pub fn serial(&mut self) -> Result<String, PivError> {
        self.transaction(Leave::AsItIs, |transport| Piv::select(transport)?.serial())
    }

    /// Runs `work` while no other program can talk to the card.
    ///
    /// # Errors
    /// What `work` ends with, or [`PivError::Gone`].
    pub fn transaction<T>(
        &mut self,
        leave: Leave,
        work: impl FnOnce(&mut dyn Transport) -> Result<T, PivError>,
    ) -> Result<T, PivError> {
        let card = self.card.as_mut().ok_or(PivError::Gone)?;
        let transaction = match card.transaction2() {
            Ok(transaction) => transaction,
            Err((card, pcsc::Error::ResetCard)) => {
                // Another program reset it: nothing is lost but what was verified.
                card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)
                    .map_err(|_| PivError::Gone)?;
                card.transaction().map_err(|_| PivError::Gone)?
            }
            Err(_) => return Err(PivError::Gone),
        };
        let mut transport = CardTransport(&transaction);
        let result = work(&mut transport);
        let end = if leave == Leave::Locked { Disposition::ResetCard } else { Disposition::LeaveCard };
        drop(transaction.end(end));
        result
    }
}

impl Drop for OpenCard {
    /// The binding would reset the card, in the middle of what another program does with it.
    fn drop(&mut self) {
        if let Some(card) = self.card.take() {
            drop(card.disconnect(Disposition::LeaveCard));
        }
    }
}

struct CardTransport<'a>(&'a Card);

impl Transport for CardTransport<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, PivError> {
        let mut buffer = [0; pcsc::MAX_BUFFER_SIZE];
        match self.0.transmit(command, &mut buffer) {
            Ok(answer) => Ok(answer.to_vec()),
            Err(error) => {
                tracing::debug!(%error, "the card does not answer");
                Err(PivError::Gone)
            }
        }
    }
}

/// The command `cards`.
///
/// # Errors
/// [`Error::Service`].
pub fn print_cards() -> Result<(), Error> {
    let list = Readers::new(None)?.list();
    if list.is_empty() {
        println!("There is no reader.");
    }
    for reader in list {
        match reader.card {
            Some(serial) => println!("{}: PIV card {serial}", reader.name),
            None => println!("{}: no PIV card", reader.name),
        }
    }
    Ok(())
}
