//! A message between portal and agent: what is read is written as something that is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealwright_protocol::{FromAgent, FromPortal};

fuzz_target!(|text: &str| {
    if let Ok(message) = serde_json::from_str::<FromAgent>(text) {
        let again = serde_json::to_string(&message).expect("written");
        serde_json::from_str::<FromAgent>(&again).expect("read again");
    }
    if let Ok(message) = serde_json::from_str::<FromPortal>(text) {
        let again = serde_json::to_string(&message).expect("written");
        serde_json::from_str::<FromPortal>(&again).expect("read again");
    }
});
