//! Access to management keys that only the portal has.

use sealwright_protocol::{ManagementKey, ManagementKeyAlgorithm, RelayAnswer};

use super::error::CardError;

/// Mutual authentication with a management key, relayed to the portal from within a card
/// transaction.
pub trait Relay {
    /// Asks for the decrypted witness and a challenge to the card; `None` when the portal has no
    /// such key.
    ///
    /// # Errors
    /// [`CardError::Gone`] when the portal does not answer in time: the job begins again.
    fn ask(
        &self,
        serial: &str,
        key: ManagementKey,
        algorithm: ManagementKeyAlgorithm,
        witness: Vec<u8>,
    ) -> Result<Option<RelayAnswer>, CardError>;
}
