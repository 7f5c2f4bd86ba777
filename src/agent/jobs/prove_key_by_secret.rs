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
    let found = Zeroizing::new(with_pin(desk, |piv| piv.find_secret(slot, algorithm, challenge))?);
    let secret = if algorithm.is_rsa() { deciphered(&found).unwrap_or(instead.as_slice()) } else { found.as_slice() };
    let mut digest = Context::new(&SHA256);
    digest.update(secret_test(portal, &serial, slot, nonce).as_bytes());
    digest.update(secret);
    fail_point!("agent.secret.done");
    Ok(Report::ProvedBySecret { digest: Bytes(digest.finish().as_ref().to_vec()) })
}

/// The message in a block of EME-PKCS1-v1_5.
fn deciphered(block: &[u8]) -> Option<&[u8]> {
    let padded = block.strip_prefix(&[0, 2])?;
    let end = padded.iter().position(|byte| *byte == 0).filter(|length| *length >= 8)?;
    padded.get(end + 1..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_stands_behind_its_padding() {
        let block = [&[0, 2][..], &[7; 8], &[0], b"message"].concat();
        assert_eq!(deciphered(&block), Some(&b"message"[..]));
        let short = [&[0, 2][..], &[7; 7], &[0], b"message"].concat();
        assert_eq!(deciphered(&short), None);
        assert_eq!(deciphered(&[0, 1, 7, 7, 7, 7, 7, 7, 7, 7, 0]), None);
    }

    proptest! {
        #[test]
        fn any_block_is_read(block in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _message = deciphered(&block);
        }
    }
}
