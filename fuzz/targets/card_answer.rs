//! What a card answers: elements within elements.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/agent/piv/tlv.rs"]
mod tlv;

fuzz_target!(|answer: &[u8]| {
    for tag in [0x53, 0x70, 0x7c, 0x7f49, 0x82, 0x86] {
        if let Some(value) = tlv::find(answer, tag) {
            assert!(value.len() < answer.len());
            let _within = tlv::find(&value, 0x70);
        }
    }
    if answer.len() < 0x1_0000 {
        assert_eq!(tlv::find(&tlv::write(0x53, answer), 0x53).as_deref(), Some(answer));
    }
});
