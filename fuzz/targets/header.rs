//! A header of the sign-in: one spelling of a login, and every look-alike of a name.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/auth/header/spelling.rs"]
mod spelling;

fuzz_target!(|value: &[u8]| {
    if let Some(login) = spelling::canonical(value) {
        assert_eq!(spelling::canonical(login.as_bytes()).as_deref(), Some(login.as_str()));
    }
    if let Ok(name) = std::str::from_utf8(value) {
        let squeezed = spelling::squeezed(name);
        assert_eq!(spelling::squeezed(&squeezed), squeezed);
        assert_eq!(spelling::squeezed(&name.replace('-', "_")), squeezed);
    }
});
