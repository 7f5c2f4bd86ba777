//! Hostile bytes are refused, never a panic.

use proptest::prelude::*;

use super::fixture::request_der;
use crate::{certificate, key, key_file, request::Request};

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        drop(Request::read(&bytes));
        drop(certificate::summary(&bytes));
        let _: Result<_, _> = key::examine(&bytes);
    }

    #[test]
    fn a_damaged_request_is_read_or_refused(at in 0_usize..2000, put in any::<u8>(), cut in 0_usize..2000) {
        let mut der = request_der(&rcgen::PKCS_ECDSA_P256_SHA256);
        let length = der.len();
        if let Some(byte) = der.get_mut(at % length) {
            *byte = put;
        }
        der.truncate(cut % (length * 4));
        drop(Request::read(&der));
    }

    #[test]
    fn any_text_is_no_key_file(text in ".{0,200}") {
        prop_assert!(key_file::read(&text, b"x").is_err());
        drop(certificate::from_pem("CERTIFICATE", &text));
    }
}
