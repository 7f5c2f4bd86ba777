//! Commands and answers (ISO 7816-4): command chaining for long data, GET RESPONSE for long
//! answers.

use zeroize::Zeroizing;

use crate::card::CardError;

/// Something that carries one short APDU to the card and its answer back.
pub trait Transport {
    /// # Errors
    /// [`CardError::Gone`] when the card does not answer any more.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError>;
}

/// A command; its data is wiped, for it may be a PIN.
pub struct Command {
    header: [u8; 3],
    data: Zeroizing<Vec<u8>>,
}

impl Command {
    pub fn new(instruction: u8, p1: u8, p2: u8, data: &[u8]) -> Self {
        Self { header: [instruction, p1, p2], data: Zeroizing::new(data.to_vec()) }
    }
}

const CHAINED: u8 = 0x10;
const LAST: u8 = 0x00;
/// The longest answer that is put together: an RSA-4096 certificate with room.
const LONGEST_ANSWER: usize = 16 * 1024;

/// Sends a command and puts its answer together.
///
/// # Errors
/// [`CardError`] for every status but 9000.
pub fn send(transport: &mut dyn Transport, command: &Command) -> Result<Vec<u8>, CardError> {
    let mut parts = command.data.chunks(255).peekable();
    let mut answer = Vec::new();
    let mut status = loop {
        let part = parts.next().unwrap_or_default();
        let last = parts.peek().is_none();
        let [instruction, p1, p2] = command.header;
        let class = if last { LAST } else { CHAINED };
        // Room for all of it: what a growing vector leaves behind is not wiped.
        let mut apdu = Zeroizing::new(Vec::with_capacity(6 + part.len()));
        apdu.extend_from_slice(&[class, instruction, p1, p2]);
        if !part.is_empty() {
            apdu.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            apdu.extend_from_slice(part);
        }
        if last {
            apdu.push(0);
        }
        let status = exchange(transport, &apdu, &mut answer)?;
        if last || status != 0x9000 {
            break status;
        }
    };
    while status >> 8 == 0x61 {
        let so_far = answer.len();
        let [_, length] = status.to_be_bytes();
        status = exchange(transport, &[0, 0xc0, 0, 0, length], &mut answer)?;
        // A card that promises more and gives nothing would do so for ever. One that was reset in
        // between says so by its status.
        if answer.len() > LONGEST_ANSWER || (answer.len() == so_far && status >> 8 == 0x61) {
            return Err(CardError::Answer);
        }
    }
    match status {
        0x9000 => Ok(answer),
        // 6300 is what some cards say instead of the number of tries.
        0x6300 => Err(CardError::Wrong(None)),
        0x63c0 | 0x6983 => Err(CardError::Blocked),
        tries if tries & 0xfff0 == 0x63c0 => Err(CardError::Wrong(Some((tries & 0xf) as u8))),
        0x6a82 => Err(CardError::NotFound),
        other => Err(CardError::Status(other)),
    }
}

fn exchange(transport: &mut dyn Transport, apdu: &[u8], answer: &mut Vec<u8>) -> Result<u16, CardError> {
    let received = transport.transmit(apdu)?;
    let (data, status) = received.split_last_chunk::<2>().ok_or(CardError::Answer)?;
    answer.extend_from_slice(data);
    Ok(u16::from_be_bytes(*status))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Says the same each time.
    struct Always(&'static [u8]);

    impl Transport for Always {
        fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, CardError> {
            Ok(self.0.to_vec())
        }
    }

    #[test]
    fn a_card_that_always_promises_more_is_given_up() {
        for answer in [&[0x61, 0x00][..], &[0x61, 0xff], &[0xaa, 0x61, 0x10]] {
            let sent = send(&mut Always(answer), &Command::new(0xcb, 0x3f, 0xff, &[0x5c]));
            assert!(matches!(sent, Err(CardError::Answer)), "{answer:?}");
        }
    }

    /// Says one after another, and counts how often it was asked.
    struct Script {
        answers: std::vec::IntoIter<Vec<u8>>,
        asked: usize,
    }

    impl Transport for Script {
        fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
            assert!((4..=261).contains(&command.len()), "{command:02x?}");
            self.asked += 1;
            self.answers.next().ok_or(CardError::Gone)
        }
    }

    /// A status, mostly one that asks for more, after some data or none.
    fn answers() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let status = prop_oneof![Just([0x61, 0x00]), Just([0x61, 0x20]), Just([0x90, 0x00]), any::<[u8; 2]>()];
        let answer = (prop::collection::vec(any::<u8>(), 0..260), status);
        prop::collection::vec(answer.prop_map(|(data, status)| [data, status.to_vec()].concat()), 0..120)
    }

    proptest! {
        #[test]
        fn whatever_a_card_answers_comes_to_an_end(answers in answers(), sent in prop::collection::vec(any::<u8>(), 0..1000)) {
            let (parts, given) = (sent.len().div_ceil(255).max(1), answers.iter().map(Vec::len).sum::<usize>());
            let mut script = Script { answers: answers.into_iter(), asked: 0 };
            let answer = send(&mut script, &Command::new(0xcb, 0x3f, 0xff, &sent));
            if let Ok(answer) = answer {
                prop_assert!(answer.len() <= LONGEST_ANSWER + 260 && answer.len() < given);
            }
            // Each further part brings something, or is the last one.
            prop_assert!(script.asked <= parts + LONGEST_ANSWER + 1);
        }
    }

    #[test]
    fn an_answer_without_a_status_is_none() {
        for answer in [&[][..], &[0x90]] {
            let sent = send(&mut Always(answer), &Command::new(0xcb, 0x3f, 0xff, &[]));
            assert!(matches!(sent, Err(CardError::Answer)), "{answer:?}");
        }
    }
}
