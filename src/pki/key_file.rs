//! Software keys at rest: PKCS#8 encrypted with PBES2, scrypt and AES-256-CBC (RFC 8018, RFC 7914), PEM. OpenSSL reads them.

use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use crate::signer::SoftwareKey;

const LABEL: &str = "ENCRYPTED PRIVATE KEY";
/// scrypt with N = 2^14, r = 8, p = 5: five times 16 MiB. OpenSSL reads no key that needs 32 MiB or more at once.
const LOG_N: u8 = 14;
const BLOCK_SIZE: u32 = 8;
const PARALLELIZATION: u32 = 5;

/// Why a key file was not written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    #[error("the key could not be encrypted")]
    Encrypt,
    #[error("the file is no encrypted private key in PEM")]
    Format,
    #[error("the passphrase does not open the key file")]
    Passphrase,
    #[error("the key in the file is of a kind that is not supported")]
    Unsupported,
}

/// Encrypts a key under a passphrase. `salt` and `iv` must be random.
///
/// # Errors
/// [`KeyFileError::Encrypt`].
pub fn write(
    key: &SoftwareKey,
    passphrase: &[u8],
    salt: &[u8; 16],
    iv: [u8; 16],
) -> Result<Zeroizing<String>, KeyFileError> {
    let plain = key.to_pkcs8();
    let seal = || -> Result<Zeroizing<String>, Box<dyn std::error::Error>> {
        let cost = scrypt::Params::new(LOG_N, BLOCK_SIZE, PARALLELIZATION)?;
        let parameters = pbes2::Parameters::generate_scrypt_aes256cbc(cost, salt, iv)?;
        let sealed = PrivateKeyInfoRef::try_from(plain.as_slice())?.encrypt_with_params(parameters, passphrase)?;
        Ok(sealed.to_pem(LABEL, LineEnding::LF)?)
    };
    seal().map_err(|_| KeyFileError::Encrypt)
}

/// Opens a key file.
///
/// # Errors
/// [`KeyFileError`]; a wrong passphrase and a damaged file cannot be told apart.
pub fn read(pem: &str, passphrase: &[u8]) -> Result<SoftwareKey, KeyFileError> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| KeyFileError::Format)?;
    if label != LABEL {
        return Err(KeyFileError::Format);
    }
    let sealed = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| KeyFileError::Format)?;
    let plain = sealed.decrypt(passphrase).map_err(|_| KeyFileError::Passphrase)?;
    SoftwareKey::from_pkcs8(plain.as_bytes()).map_err(|_| KeyFileError::Unsupported)
}
