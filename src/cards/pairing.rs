//! How a page and an agent find each other, and how the two people at them know that they are one
//! (ARCHITECTURE.md, "A card is personalized").
//!
//! A page offers a code: long for the link, short for typing. Redeeming it grants nothing yet. Both sides then show the same six
//! digits, made from nonces that neither could choose after seeing the other's: the agent commits to its nonce first.
//! Only when both were confirmed do jobs run.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use sealwright_protocol::comparison;
use uuid::Uuid;

use crate::random;
pub use crate::store::pairings::PairingState;

/// How long a code may be redeemed, in milliseconds.
pub const LIFETIME: i64 = 10 * 60 * 1000;

/// A code in both its forms. Only their digests are stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// 128 bits, for the link.
    pub long: String,
    /// Eight letters and digits without look-alikes, for typing: `K7QM-3XRT`.
    pub short: String,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Code")
    }
}

/// 32 letters and digits; no 0, O, 1, I.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

impl Code {
    /// The code of a pairing for the browser session with this cookie. Derived, so that the page can show it again and no table holds it.
    pub fn derive(cookie: &str, pairing: Uuid) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
        let bytes = hmac::sign(&key, format!("sealwright code {pairing}").as_bytes());
        let (long, rest) = bytes.as_ref().split_at(16);
        let long = HEXLOWER.encode(long);
        let mut short = String::with_capacity(9);
        for (index, byte) in rest.iter().take(8).enumerate() {
            if index == 4 {
                short.push('-');
            }
            let letter = ALPHABET.get(usize::from(*byte) % ALPHABET.len()).copied().unwrap_or(b'A');
            short.push(char::from(letter));
        }
        Self { long, short }
    }
}

/// The digest of a code as somebody typed or followed it.
pub fn digest(code: &str) -> String {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).take(64).map(|letter| letter.to_ascii_uppercase()).collect();
    random::digest(format!("sealwright code {plain}").as_bytes())
}

/// Whether somebody may have typed this: the link's code is four times as long.
pub fn is_short(code: &str) -> bool {
    code.chars().filter(char::is_ascii_alphanumeric).count() < 32
}

/// What the agent commits to before it learns the portal's nonce.
pub fn commitment(agent_key: &[u8], agent_nonce: &[u8]) -> Vec<u8> {
    sha256(&comparison::commitment_input(agent_key, agent_nonce))
}

/// The six digits that both sides show.
pub fn number(pairing: &str, agent_key: &[u8], agent_nonce: &[u8], portal_nonce: &[u8]) -> String {
    comparison::number(&sha256(&comparison::number_input(pairing, agent_key, agent_nonce, portal_nonce)))
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_however_they_are_typed() {
        let code = Code::derive("cookie", Uuid::nil());
        assert_ne!(code, Code::derive("another cookie", Uuid::nil()));
        assert_eq!(digest(&code.short), digest(&code.short.to_lowercase().replace('-', " ")));
        assert_ne!(digest(&code.short), digest(&code.long));
        assert_eq!(code.long.len(), 32);
        assert!(!format!("{code:?}").contains(&code.short));
    }

    #[test]
    fn the_number_depends_on_every_part() {
        let first = number("p", b"k", b"a", b"b");
        assert_eq!(first.len(), 7);
        for other in [
            number("q", b"k", b"a", b"b"),
            number("p", b"l", b"a", b"b"),
            number("p", b"k", b"c", b"b"),
            number("p", b"k", b"a", b"d"),
        ] {
            assert_ne!(first, other);
        }
    }
}
