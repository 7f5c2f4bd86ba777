//! A PIV card in a reader, connected over PC/SC, and transactions with it.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use pcsc::{Context, Disposition, Protocols, ShareMode};

use super::apdu::Transport;
use super::contention::patiently;
use crate::card::CardError;
use crate::terminal::Say;

/// How long a card that was reset may take to be on again.
const SWITCHED_ON: Duration = Duration::from_secs(2);

/// A card in a reader, connected.
pub struct OpenCard {
    /// `None` only while it is dropped.
    card: Option<pcsc::Card>,
    pub reader: String,
    say: Say,
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
    /// Connects to the card in a reader, shared with other programs.
    ///
    /// # Errors
    /// As the smart card service says: no card, one that is mute, or one that another program has
    /// for itself.
    pub fn connect(context: &Context, name: &CStr, say: &Say) -> Result<Self, pcsc::Error> {
        let reader = name.to_string_lossy().into_owned();
        let card = patiently(say, &reader, || context.connect(name, ShareMode::Shared, Protocols::ANY))?;
        Ok(Self { card: Some(card), reader, say: say.clone() })
    }

    /// Runs `work` while no other program can talk to the card.
    ///
    /// # Errors
    /// The error of `work`, or [`CardError::Gone`].
    pub fn transaction<T>(
        &mut self,
        leave: Leave,
        work: impl FnOnce(&mut dyn Transport) -> Result<T, CardError>,
    ) -> Result<T, CardError> {
        let card = self.card.as_mut().ok_or(CardError::Gone)?;
        let transaction = patiently(&self.say, &self.reader, || card.transaction2());
        let transaction = match transaction {
            Ok(transaction) => transaction,
            Err((card, pcsc::Error::ResetCard)) => {
                // Another program reset it: nothing is lost but what was verified.
                reconnect(card).map_err(|_| CardError::Gone)?;
                card.transaction().map_err(|_| CardError::Gone)?
            }
            Err(_) => return Err(CardError::Gone),
        };
        let mut transport = CardTransport(&transaction);
        let result = work(&mut transport);
        let end = if leave == Leave::Locked { Disposition::ResetCard } else { Disposition::LeaveCard };
        drop(transaction.end(end));
        result
    }
}

/// Connects to a card that was reset. While it is being switched on the service knows no protocol
/// for it yet, and the binding would go on with none: so that is waited for, and it is connected to
/// once more.
fn reconnect(card: &mut pcsc::Card) -> Result<(), pcsc::Error> {
    card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)?;
    let is_on = |card: &pcsc::Card| card.status2_owned().is_ok_and(|status| status.protocol2().is_some());
    let limit = Instant::now() + SWITCHED_ON;
    while !is_on(card) && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
    card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)
}

impl Drop for OpenCard {
    /// The binding would reset the card, in the middle of what another program does with it.
    fn drop(&mut self) {
        if let Some(card) = self.card.take() {
            drop(card.disconnect(Disposition::LeaveCard));
        }
    }
}

struct CardTransport<'a>(&'a pcsc::Card);

impl Transport for CardTransport<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let mut buffer = [0; pcsc::MAX_BUFFER_SIZE];
        match self.0.transmit(command, &mut buffer) {
            Ok(answer) => Ok(answer.to_vec()),
            Err(error) => {
                tracing::debug!(%error, "the card does not answer");
                Err(CardError::Gone)
            }
        }
    }
}
