//! What a card answers to a command: parts, promises of more, statuses.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/agent/card/error.rs"]
#[expect(dead_code, reason = "some of it is what drivers say")]
mod error;
mod card {
    pub use crate::error::CardError;
}
#[path = "../../src/agent/piv/apdu.rs"]
mod apdu;

/// Answers with one piece of the input after another; each begins with its length.
struct Answers<'a> {
    rest: &'a [u8],
    asked: usize,
}

impl apdu::Transport for Answers<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, card::CardError> {
        assert!((4..=261).contains(&command.len()));
        self.asked += 1;
        let (&length, rest) = self.rest.split_first().ok_or(card::CardError::Gone)?;
        let (answer, rest) = rest.split_at(rest.len().min(length.into()));
        self.rest = rest;
        Ok(answer.to_vec())
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&parts, answers)) = input.split_first() else { return };
    let mut card = Answers { rest: answers, asked: 0 };
    let command = apdu::Command::new(0xcb, 0x3f, 0xff, &vec![0; usize::from(parts) * 8]);
    if let Ok(answer) = apdu::send(&mut card, &command) {
        assert!(answer.len() < answers.len());
    }
    assert!(card.asked <= answers.len() + 1);
});
