//! Random bytes from the provider that the product uses.

use anyhow::Context;
use data_encoding::BASE64URL_NOPAD;

/// `N` random bytes.
///
/// # Errors
/// The provider has no randomness.
pub fn bytes<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).ok().context("the system cannot provide random numbers")?;
    Ok(bytes)
}

/// 256 random bits as URL-safe text.
///
/// # Errors
/// The provider has no randomness.
pub fn token() -> anyhow::Result<String> {
    Ok(BASE64URL_NOPAD.encode(&bytes::<32>()?))
}
