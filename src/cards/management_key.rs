//! The management key (PIV 9B) in use: it stays here, the agent relays what card and portal say to each other
//! (SP 800-73-5 part 2 appendix A.1, mutual authentication).

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey,
};
use sealwright_protocol::{Bytes, ManagementKeyAlgorithm, RelayAnswer};
use zeroize::Zeroizing;

use crate::random;

/// The key that PIV cards leave the factory with.
const FACTORY: [u8; 24] = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// The key or the blocks do not fit the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the management key or the card's answer does not fit the algorithm")]
pub struct Misfit;

/// The factory's key, where the algorithm has one.
pub fn factory(algorithm: ManagementKeyAlgorithm) -> Option<&'static [u8]> {
    match algorithm {
        ManagementKeyAlgorithm::TripleDes | ManagementKeyAlgorithm::Aes192 => Some(&FACTORY),
        ManagementKeyAlgorithm::Aes128 | ManagementKeyAlgorithm::Aes256 => None,
    }
}

/// A new random key.
///
/// # Errors
/// [`random::NoRandomness`].
pub fn generate(algorithm: ManagementKeyAlgorithm) -> Result<Zeroizing<Vec<u8>>, random::NoRandomness> {
    let bytes = Zeroizing::new(random::bytes::<32>()?);
    Ok(Zeroizing::new(bytes.iter().copied().take(algorithm.length()).collect()))
}

/// Decrypts the card's witness and adds the portal's challenge, which is the beginning of the job's nonce.
///
/// # Errors
/// [`Misfit`].
pub fn answer(
    algorithm: ManagementKeyAlgorithm,
    key: &[u8],
    witness: &[u8],
    nonce: &[u8],
) -> Result<RelayAnswer, Misfit> {
    let mut block = checked(witness, algorithm)?;
    DecryptingKey::ecb(unbound(algorithm, key)?)
        .and_then(|key| key.decrypt(&mut block, DecryptionContext::None).map(drop))
        .map_err(|_| Misfit)?;
    let challenge = challenge(algorithm, nonce)?;
    Ok(RelayAnswer { witness: Bytes(block), challenge: Bytes(challenge) })
}

/// Whether the card encrypted the portal's challenge under the key: then it is the card that the portal knows.
pub fn is_authentic(algorithm: ManagementKeyAlgorithm, key: &[u8], nonce: &[u8], response: &[u8]) -> bool {
    respond(algorithm, key, nonce)
        .is_ok_and(|expected| aws_lc_rs::constant_time::verify_slices_are_equal(&expected, response).is_ok())
}

/// Encrypts the portal's challenge under the management key, as a card with that key does.
pub(crate) fn respond(algorithm: ManagementKeyAlgorithm, key: &[u8], nonce: &[u8]) -> Result<Vec<u8>, Misfit> {
    let mut block = challenge(algorithm, nonce)?;
    let key = EncryptingKey::ecb(unbound(algorithm, key)?).map_err(|_| Misfit)?;
    key.encrypt(&mut block).map_err(|_| Misfit)?;
    Ok(block)
}

fn challenge(algorithm: ManagementKeyAlgorithm, nonce: &[u8]) -> Result<Vec<u8>, Misfit> {
    nonce.get(..algorithm.block()).map(<[u8]>::to_vec).ok_or(Misfit)
}

fn checked(block: &[u8], algorithm: ManagementKeyAlgorithm) -> Result<Vec<u8>, Misfit> {
    if block.len() == algorithm.block() { Ok(block.to_vec()) } else { Err(Misfit) }
}

#[expect(deprecated, reason = "SP 800-73-4 cards have no other management key than triple DES")]
fn unbound(algorithm: ManagementKeyAlgorithm, key: &[u8]) -> Result<UnboundCipherKey, Misfit> {
    let cipher: &'static Algorithm = match algorithm {
        ManagementKeyAlgorithm::TripleDes => &aws_lc_rs::cipher::DES_EDE3_FOR_LEGACY_USE_ONLY,
        ManagementKeyAlgorithm::Aes128 => &AES_128,
        ManagementKeyAlgorithm::Aes192 => &AES_192,
        ManagementKeyAlgorithm::Aes256 => &AES_256,
    };
    // The provider rightly refuses a triple key of three equal parts, but the factory's is one: triple DES with it is single DES.
    if algorithm == ManagementKeyAlgorithm::TripleDes
        && key == FACTORY
        && let Some(third) = key.get(..8)
    {
        return UnboundCipherKey::new(&aws_lc_rs::cipher::DES_FOR_LEGACY_USE_ONLY, third).map_err(|_| Misfit);
    }
    UnboundCipherKey::new(cipher, key).map_err(|_| Misfit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factory_key_is_usable() {
        let key = factory(ManagementKeyAlgorithm::TripleDes).expect("a key");
        let answer = answer(ManagementKeyAlgorithm::TripleDes, key, &[9; 8], &[7; 32]);
        assert!(answer.is_ok());
    }

    #[test]
    fn a_card_with_the_key_is_authentic_and_another_is_not() {
        for algorithm in
            [ManagementKeyAlgorithm::TripleDes, ManagementKeyAlgorithm::Aes192, ManagementKeyAlgorithm::Aes256]
        {
            let key = generate(algorithm).expect("a key");
            let nonce = [7; 32];
            // The card's side: it encrypts its witness and the portal's challenge.
            let witness = vec![9; algorithm.block()];
            let encrypt = |block: &[u8]| {
                let mut block = block.to_vec();
                let key = EncryptingKey::ecb(unbound(algorithm, &key).expect("a key")).expect("a key");
                key.encrypt(&mut block).expect("encrypted");
                block
            };
            let answer = answer(algorithm, &key, &encrypt(&witness), &nonce).expect("an answer");
            assert_eq!(answer.witness.0, witness);
            assert!(is_authentic(algorithm, &key, &nonce, &encrypt(&answer.challenge.0)));
            assert!(!is_authentic(algorithm, &key, &[8; 32], &encrypt(&answer.challenge.0)));
            assert!(super::answer(algorithm, &key, &[1, 2, 3], &nonce).is_err());
        }
    }
}
