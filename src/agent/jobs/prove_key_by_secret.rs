//! A key that does not sign finds a secret out; the portal learns a digest of it, never what the key deciphers.

use aws_lc_rs::digest::{Context, SHA256};
use sealwright_protocol::{Bytes, Report, Slot, secret_test};
use zeroize::Zeroizing;

use super::prove_key::present;
use super::{Desk, Trouble, with_pin};
use crate::{Error, fail_point};

pub fn run(
    desk: &mut Desk<'_>,
    slot: Slot,
    certificate: &[u8],
    portal: &str,
    nonce: &Bytes,
    challenge: &[u8],
) -> Result<Report, Trouble> {
    fail_point!("agent.secret.before");
    let (serial, algorithm) = present(desk, slot, certificate)?;
    // What a ciphertext that is none is taken for: nothing is told of how it was wrong (RFC 8017 section 7.2.2).
    let mut instead = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(instead.as_mut_slice()).map_err(|_| Error::say("The system gives no random numbers."))?;
    let found = with_pin(desk, |card, pin| card.find_secret(pin, slot, algorithm, challenge))?;
    let secret = found.as_ref().map_or(instead.as_slice(), |secret| secret.as_slice());
    let mut digest = Context::new(&SHA256);
    digest.update(secret_test(portal, &serial, slot, nonce).as_bytes());
    digest.update(secret);
    fail_point!("agent.secret.done");
    Ok(Report::ProvedBySecret { digest: Bytes(digest.finish().as_ref().to_vec()) })
}
