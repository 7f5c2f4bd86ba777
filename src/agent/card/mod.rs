//! A card as jobs know it, whichever driver speaks to it: [`crate::piv`] by the card's own commands
//! over PC/SC, [`crate::token`] through the vendor's PKCS#11 module.

mod capabilities;
mod error;
mod pin;
mod relay;

use sealwright_protocol::CardFacts;

pub use capabilities::{Attestations, Keys, Objects, Secrets, Unlock, WritesWith};
pub use error::CardError;
pub use pin::Pin;
pub use relay::Relay;

/// A card in a reader, with the capabilities that its driver implements. Each call is whole: it
/// unlocks what it needs and leaves the card locked.
pub trait Card: Secrets + Keys + Objects + Attestations {
    /// The reader's name, as people know it.
    fn reader(&self) -> &str;

    /// The serial number, which no other card has.
    ///
    /// # Errors
    /// [`CardError`].
    fn serial(&mut self) -> Result<String, CardError>;

    /// Reads all that needs no PIN.
    ///
    /// # Errors
    /// [`CardError`].
    fn facts(&mut self, relay: &dyn Relay) -> Result<CardFacts, CardError>;
}
