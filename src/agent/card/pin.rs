//! The PIN as a value: checked, wiped after use, never shown.

use zeroize::Zeroizing;

/// A PIN as typed: 6 to 8 characters of ASCII (SP 800-73-5 part 2 section 2.4.3).
#[derive(Clone)]
pub struct Pin(Zeroizing<Vec<u8>>);

/// The reason why no card takes a text as its PIN, in words for the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPin {
    #[error("it is too short: a PIN has 6 to 8 characters.")]
    Short,
    #[error("it is too long: a PIN has 6 to 8 characters.")]
    Long,
    #[error("it has a character that cards do not know: use digits, or letters and signs without accents or spaces.")]
    Character,
}

impl Pin {
    /// Reads a PIN.
    ///
    /// # Errors
    /// [`NotAPin`].
    pub fn parse(text: &str) -> Result<Self, NotAPin> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotAPin::Character);
        }
        match text.len() {
            0..6 => Err(NotAPin::Short),
            6..=8 => Ok(Self(Zeroizing::new(text.as_bytes().to_vec()))),
            _ => Err(NotAPin::Long),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_pin_is_refused_for_its_own_reason() {
        let read = |text: &str| Pin::parse(text).map(|_| ());
        assert_eq!(read("739158"), Ok(()));
        assert_eq!(read("pa$$word"), Ok(()));
        assert_eq!(read("73915"), Err(NotAPin::Short));
        assert_eq!(read("739158241"), Err(NotAPin::Long));
        for text in ["7391 58", "73915é", "73915\u{1b}[A"] {
            assert_eq!(read(text), Err(NotAPin::Character), "{text:?}");
        }
    }
}
