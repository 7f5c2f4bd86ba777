//! An attestation: two certificates in one, told apart by the first two bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwright_pki::attestation::Attestation;

fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (certificate, issuer) = rest.split_at(length);
    let _attestation = Attestation::read(certificate, issuer, &[issuer.to_vec()], "9a");
});
