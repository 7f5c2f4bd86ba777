//! Secrets at rest: AES-256-GCM under a key from a file, bound to the card and the purpose they are for.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::random;
pub use crate::store::cards::Purpose;
use crate::store::cards::SealedSecretRecord;

/// The key that secrets are sealed under, with its id.
pub struct SealingKey {
    id: String,
    key: LessSafeKey,
    /// What keys for other purposes are derived from.
    root: hkdf::Prk,
}

/// A sealed secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub key_id: String,
    pub nonce: Vec<u8>,
    pub ciphertext: Vec<u8>,
}

impl From<SealedSecretRecord> for Sealed {
    fn from(row: SealedSecretRecord) -> Self {
        Self { key_id: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext }
    }
}

/// Why a secret cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    #[error("the sealing key file must hold 32 random bytes in base64")]
    KeyFile,
    #[error("the secret was sealed under another key")]
    OtherKey,
    #[error("the sealed secret was changed or belongs to another card")]
    Damaged,
    #[error(transparent)]
    Randomness(#[from] random::NoRandomness),
}

impl SealingKey {
    /// Reads a key file: 32 bytes, base64.
    ///
    /// # Errors
    /// [`SealingError::KeyFile`].
    pub fn read(path: &Path) -> Result<Self, SealingError> {
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|_| SealingError::KeyFile)?);
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| SealingError::KeyFile)?);
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealingError::KeyFile)?;
        // The id tells two keys apart and nothing about them.
        let id = random::digest(&[b"sealwright sealing key id", bytes.as_slice()].concat()).chars().take(16).collect();
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"sealwright").extract(&bytes);
        Ok(Self { id, key: LessSafeKey::new(key), root })
    }

    /// A key for message authentication (RFC 5869), another one for each purpose and the same on every node.
    ///
    /// # Errors
    /// [`SealingError::KeyFile`].
    pub fn authentication_key(&self, purpose: &'static str) -> Result<hmac::Key, SealingError> {
        let derived = self.root.expand(&[purpose.as_bytes()], hmac::HMAC_SHA256).map(hmac::Key::from);
        derived.map_err(|_| SealingError::KeyFile)
    }

    /// What tells it from other keys.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A new key as the text of a key file.
    ///
    /// # Errors
    /// [`SealingError::Randomness`].
    pub fn generate() -> Result<Zeroizing<String>, SealingError> {
        let bytes = Zeroizing::new(random::bytes::<32>()?);
        Ok(Zeroizing::new(STANDARD.encode(bytes.as_slice()) + "\n"))
    }

    /// # Errors
    /// [`SealingError`].
    pub fn seal(&self, card: Uuid, purpose: Purpose, secret: &[u8]) -> Result<Sealed, SealingError> {
        let nonce = random::bytes::<12>()?;
        let mut ciphertext = secret.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound_to(card, purpose)),
                &mut ciphertext,
            )
            .map_err(|_| SealingError::Damaged)?;
        Ok(Sealed { key_id: self.id.clone(), nonce: nonce.to_vec(), ciphertext })
    }

    /// # Errors
    /// [`SealingError`].
    pub fn open(&self, card: Uuid, purpose: Purpose, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        if sealed.key_id != self.id {
            return Err(SealingError::OtherKey);
        }
        let nonce: [u8; 12] = sealed.nonce.as_slice().try_into().map_err(|_| SealingError::Damaged)?;
        let mut buffer = Zeroizing::new(sealed.ciphertext.clone());
        let length = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to(card, purpose)), &mut buffer)
            .map_err(|_| SealingError::Damaged)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SealingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn bound_to(card: Uuid, purpose: Purpose) -> Vec<u8> {
    [card.as_bytes().as_slice(), purpose.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_card_and_purpose_alone() {
        let folder = std::env::temp_dir().join(random::id().to_string());
        std::fs::write(&folder, SealingKey::generate().expect("a key").as_bytes()).expect("written");
        let key = SealingKey::read(&folder).expect("read");
        std::fs::remove_file(&folder).expect("removed");
        let card = random::id();
        let sealed = key.seal(card, Purpose::Puk, b"12345678").expect("sealed");
        assert_eq!(key.open(card, Purpose::Puk, &sealed).expect("opened").as_slice(), b"12345678");
        assert_eq!(key.open(random::id(), Purpose::Puk, &sealed), Err(SealingError::Damaged));
        assert_eq!(key.open(card, Purpose::ManagementKey, &sealed), Err(SealingError::Damaged));
        assert!(!format!("{key:?}{sealed:?}").contains("12345678"));
    }
}
