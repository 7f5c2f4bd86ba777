//! The capabilities of a card, one trait each. Every call fails with a [`CardError`].

use sealwright_protocol::{Attestation, FactorySecrets, KeyAlgorithm, Slot};
use zeroize::Zeroizing;

use super::error::CardError;
use super::pin::Pin;
use super::relay::Relay;

/// The secret that allows a card to make keys and to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritesWith {
    ManagementKey,
    Pin,
}

/// The key to a card that is to be changed: the portal, which has the management key and tells it
/// nobody, or the person's PIN.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    ManagementKey(&'a dyn Relay),
    Pin(&'a Pin),
}

/// PIN, PUK and management key: counted, and replaced where they are the factory's.
pub trait Secrets {
    fn writes_with(&self) -> WritesWith;

    /// Remaining tries of the PIN, where the card tells them; 0 for a blocked one.
    fn pin_tries(&mut self) -> Result<Option<u8>, CardError>;

    /// Sets the person's PIN in place of the factory's. Idempotent.
    fn replace_pin(&mut self, secrets: &FactorySecrets, new: &Pin) -> Result<(), CardError>;

    /// Replaces the secret that unblocks the PIN, where the card has one of its own. Idempotent.
    fn replace_puk(&mut self, secrets: &FactorySecrets) -> Result<(), CardError>;

    /// Replaces the secret that the card is managed with. Idempotent.
    fn replace_management_key(&mut self, secrets: &FactorySecrets, relay: &dyn Relay) -> Result<(), CardError>;
}

/// Key pairs that never leave the card.
pub trait Keys {
    /// Makes a key pair; gives the public key as SubjectPublicKeyInfo (DER).
    fn generate(&mut self, by: Unlock<'_>, slot: Slot, algorithm: KeyAlgorithm) -> Result<Vec<u8>, CardError>;

    /// Signs a message: ECDSA as DER, or RSASSA-PKCS1-v1_5, with SHA-256, for P-384 SHA-384.
    fn sign(&mut self, pin: &Pin, slot: Slot, algorithm: KeyAlgorithm, message: &[u8]) -> Result<Vec<u8>, CardError>;

    /// Deciphers a ciphertext (RSAES-PKCS1-v1_5), or agrees on a secret with a public key (an
    /// uncompressed point, ECDH); none for an invalid ciphertext.
    fn decipher_challenge(
        &mut self,
        pin: &Pin,
        slot: Slot,
        algorithm: KeyAlgorithm,
        challenge: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CardError>;
}

/// Certificates in the slots of a card.
pub trait Objects {
    /// The certificate of a slot, DER; none for an empty slot.
    fn certificate(&mut self, slot: Slot) -> Result<Option<Vec<u8>>, CardError>;

    /// Writes the certificate of a slot, and gives what reads back.
    fn write_certificate(
        &mut self,
        by: Unlock<'_>,
        slot: Slot,
        certificate: &[u8],
    ) -> Result<Option<Vec<u8>>, CardError>;
}

/// Statements of a card about the keys that it has made.
pub trait Attestations {
    /// The attestation of a key; none where the card does not attest its keys.
    fn attestation(&mut self, slot: Slot) -> Result<Option<Attestation>, CardError>;
}
