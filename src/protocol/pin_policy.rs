//! The policy for new PINs: the portal's configuration states it, the agent checks it before a card learns the PIN.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The lengths of a PIN that every card takes (SP 800-73-5 part 2 section 2.4.3).
pub const PIN_LENGTHS: std::ops::RangeInclusive<u8> = 6..=8;

/// Rules for a PIN that a person chooses. The factory's secrets are never accepted, whatever they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinPolicy {
    pub minimum_length: u8,
    pub maximum_length: u8,
    /// Letters and signs are refused.
    pub digits_only: bool,
    /// One character throughout is refused, such as 111111.
    pub no_repetition: bool,
    /// Digits in order are refused, up or down, such as 123456, 654321 and 789012.
    pub no_sequence: bool,
}

impl Default for PinPolicy {
    fn default() -> Self {
        Self {
            minimum_length: *PIN_LENGTHS.start(),
            maximum_length: *PIN_LENGTHS.end(),
            digits_only: true,
            no_repetition: true,
            no_sequence: true,
        }
    }
}

/// The rule that a PIN breaks, in words for the person. Nothing of the PIN is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinFault {
    #[error("A PIN of this length is refused: it must have {}.", lengths(*.0, *.1))]
    Length(u8, u8),
    #[error("A PIN with letters or signs is refused: it must have digits only.")]
    NotDigits,
    #[error("A PIN like 111111 is refused: it repeats one character.")]
    Repetition,
    #[error("A PIN like 123456 is refused: it is a sequence.")]
    Sequence,
    #[error("The card came with this PIN, so others know it.")]
    Factory,
}

impl PinPolicy {
    /// Checks a PIN.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, pin: &[u8]) -> Result<(), PinFault> {
        let Self { minimum_length, maximum_length, .. } = *self;
        if !(usize::from(minimum_length)..=usize::from(maximum_length)).contains(&pin.len()) {
            return Err(PinFault::Length(minimum_length, maximum_length));
        }
        if self.digits_only && !pin.iter().all(u8::is_ascii_digit) {
            return Err(PinFault::NotDigits);
        }
        if self.no_repetition && is_repetition(pin) {
            return Err(PinFault::Repetition);
        }
        if self.no_sequence && is_sequence(pin) {
            return Err(PinFault::Sequence);
        }
        Ok(())
    }
}

/// The policy for a prompt: `6 to 8 digits, not one repeated like 111111, no sequence like 123456`.
impl fmt::Display for PinPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.digits_only { "digits" } else { "characters" };
        write!(out, "{} {kind}", range(self.minimum_length, self.maximum_length))?;
        if self.no_repetition {
            out.write_str(", not one repeated like 111111")?;
        }
        if self.no_sequence {
            out.write_str(", no sequence like 123456")?;
        }
        Ok(())
    }
}

fn range(minimum: u8, maximum: u8) -> String {
    if minimum == maximum { minimum.to_string() } else { format!("{minimum} to {maximum}") }
}

fn lengths(minimum: u8, maximum: u8) -> String {
    format!("{} characters", range(minimum, maximum))
}

fn is_repetition(pin: &[u8]) -> bool {
    pin.iter().zip(pin.iter().skip(1)).all(|(one, next)| one == next)
}

/// Whether each digit is the one after its neighbour, or each the one before. 0 follows 9.
fn is_sequence(pin: &[u8]) -> bool {
    let steps_by = |step: u8| {
        pin.iter()
            .zip(pin.iter().skip(1))
            .all(|(one, next)| one.is_ascii_digit() && next.is_ascii_digit() && (one - b'0' + step) % 10 == next - b'0')
    };
    steps_by(1) || steps_by(9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_refused_for_the_rule_that_it_breaks() {
        let policy = PinPolicy::default();
        for (pin, expected) in [
            ("739158", Ok(())),
            ("73915824", Ok(())),
            ("112233", Ok(())),
            ("135790", Ok(())),
            ("12345", Err(PinFault::Length(6, 8))),
            ("123456789", Err(PinFault::Length(6, 8))),
            ("", Err(PinFault::Length(6, 8))),
            ("73915a", Err(PinFault::NotDigits)),
            ("aaaaaa", Err(PinFault::NotDigits)),
            ("111111", Err(PinFault::Repetition)),
            ("00000000", Err(PinFault::Repetition)),
            ("123456", Err(PinFault::Sequence)),
            ("12345678", Err(PinFault::Sequence)),
            ("654321", Err(PinFault::Sequence)),
            ("789012", Err(PinFault::Sequence)),
            ("210987", Err(PinFault::Sequence)),
        ] {
            assert_eq!(policy.check(pin.as_bytes()), expected, "{pin}");
        }
    }

    #[test]
    fn rules_that_are_switched_off_refuse_nothing() {
        let policy = PinPolicy {
            minimum_length: 8,
            maximum_length: 8,
            digits_only: false,
            no_repetition: false,
            no_sequence: false,
        };
        for pin in ["12345678", "aaaaaaaa", "11111111", "pa$$word"] {
            assert_eq!(policy.check(pin.as_bytes()), Ok(()), "{pin}");
        }
        assert_eq!(policy.check(b"739158"), Err(PinFault::Length(8, 8)));
        assert_eq!(policy.to_string(), "8 characters");
        assert_eq!(PinFault::Length(8, 8).to_string(), "A PIN of this length is refused: it must have 8 characters.");
    }

    #[test]
    fn the_prompt_says_every_rule() {
        let said = PinPolicy::default().to_string();
        assert_eq!(said, "6 to 8 digits, not one repeated like 111111, no sequence like 123456");
    }
}
