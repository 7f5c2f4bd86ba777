//! What jobs ask of a card, whatever it is spoken to with. Two drivers do it: [`crate::piv`] by the card's own commands over PC/SC,
//! [`crate::token`] through the vendor's PKCS#11 module.

mod error;
mod pin;
mod relay;

use sealwright_protocol::{Attestation, CardFacts, FactorySecrets, KeyAlgorithm, Slot};
use zeroize::Zeroizing;

pub use error::CardError;
pub use pin::Pin;
pub use relay::Relay;

/// Whose secret allows a card to make keys and to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritesWith {
    ManagementKey,
    Pin,
}

/// What unlocks it: the portal, which has the management key and tells it nobody, or the person's PIN.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    ManagementKey(&'a dyn Relay),
    Pin(&'a Pin),
}

/// A card in a reader. Each call is whole: it unlocks what it needs and leaves the card locked.
pub trait Card {
    /// The reader's name, as people know it.
    fn reader(&self) -> &str;

    fn writes_with(&self) -> WritesWith;

    /// What tells this card from all others.
    ///
    /// # Errors
    /// [`CardError`], as everywhere below.
    fn serial(&mut self) -> Result<String, CardError>;

    /// What is read without a PIN.
    fn facts(&mut self, relay: &dyn Relay) -> Result<CardFacts, CardError>;

    /// Remaining tries of the PIN, where the card tells them; 0 for a blocked one.
    fn pin_tries(&mut self) -> Result<Option<u8>, CardError>;

    /// The certificate of a slot, DER; none for an empty slot.
    fn certificate(&mut self, slot: Slot) -> Result<Option<Vec<u8>>, CardError>;

    /// Sets the person's PIN in place of the factory's; done before, it is well.
    fn replace_pin(&mut self, secrets: &FactorySecrets, new: &Pin) -> Result<(), CardError>;

    /// Replaces what unlocks a blocked PIN, where that is a secret of its own.
    fn replace_puk(&mut self, secrets: &FactorySecrets) -> Result<(), CardError>;

    /// Replaces the secret that the card is managed with; done before, it is well.
    fn replace_management_key(&mut self, secrets: &FactorySecrets, relay: &dyn Relay) -> Result<(), CardError>;

    /// Makes a key pair; gives the public key as SubjectPublicKeyInfo (DER).
    fn generate(&mut self, by: Unlock<'_>, slot: Slot, algorithm: KeyAlgorithm) -> Result<Vec<u8>, CardError>;

    /// What the card says of a key that it has made; none where it does not attest its keys.
    fn attestation(&mut self, slot: Slot) -> Result<Option<Attestation>, CardError>;

    /// Writes the certificate of a slot, and gives what reads back.
    fn write_certificate(
        &mut self,
        by: Unlock<'_>,
        slot: Slot,
        certificate: &[u8],
    ) -> Result<Option<Vec<u8>>, CardError>;

    /// Signs a message: ECDSA as DER, or RSASSA-PKCS1-v1_5, with SHA-256, for P-384 SHA-384.
    fn sign(&mut self, pin: &Pin, slot: Slot, algorithm: KeyAlgorithm, message: &[u8]) -> Result<Vec<u8>, CardError>;

    /// What a key makes of a ciphertext (RSAES-PKCS1-v1_5) or of somebody's public key (an uncompressed point, ECDH); none for a
    /// ciphertext that is none.
    fn find_secret(
        &mut self,
        pin: &Pin,
        slot: Slot,
        algorithm: KeyAlgorithm,
        challenge: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CardError>;
}
