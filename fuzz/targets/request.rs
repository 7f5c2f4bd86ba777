//! A certification request: what is taken is encoded as DER alone is, and is signed by its key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwright_pki::request::Request;

fuzz_target!(|der: &[u8]| {
    if let Ok(request) = Request::read(der) {
        assert!(!request.subject_public_key_info().is_empty());
    }
});
