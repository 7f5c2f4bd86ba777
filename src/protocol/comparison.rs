//! The six digits that page and agent show: what is hashed (SHA-256, by each side's own provider) and how a hash becomes digits.

use crate::COMPARISON_CONTEXT;

/// What the agent commits to before it learns the portal's nonce.
pub fn commitment_input(agent_key: &[u8], agent_nonce: &[u8]) -> Vec<u8> {
    [COMPARISON_CONTEXT.as_bytes(), agent_key, agent_nonce].concat()
}

/// What the number is made of: it depends on the pairing and on both sides' fresh nonces.
pub fn number_input(pairing: &str, agent_key: &[u8], agent_nonce: &[u8], portal_nonce: &[u8]) -> Vec<u8> {
    [COMPARISON_CONTEXT.as_bytes(), pairing.as_bytes(), agent_key, agent_nonce, portal_nonce].concat()
}

/// The first 64 bits of the hash as six digits.
pub fn number(digest: &[u8]) -> String {
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:03} {:03}", number / 1000 % 1000, number % 1000)
}
