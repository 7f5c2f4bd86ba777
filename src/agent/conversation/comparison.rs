//! The agent's side of the comparison number, which both sides show, so that a stolen code gives
//! nobody a card.

use aws_lc_rs::digest::{SHA256, digest};
use sealwright_protocol::comparison;

/// The commitment to the nonce, sent before the portal's nonce is known.
pub fn commitment(key: &[u8], nonce: &[u8]) -> Vec<u8> {
    digest(&SHA256, &comparison::commitment_input(key, nonce)).as_ref().to_vec()
}

/// Six digits.
pub fn number(pairing: &str, key: &[u8], nonce: &[u8], portal_nonce: &[u8]) -> String {
    comparison::number(digest(&SHA256, &comparison::number_input(pairing, key, nonce, portal_nonce)).as_ref())
}
