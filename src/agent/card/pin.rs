//! The PIN as a value: checked, wiped after use, never shown.

use zeroize::Zeroizing;

/// A PIN as typed: 6 to 8 characters of ASCII (SP 800-73-5 part 2 section 2.4.3).
#[derive(Clone)]
pub struct Pin(Zeroizing<Vec<u8>>);

impl Pin {
    /// Reads a PIN; none for text that cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        ((6..=8).contains(&text.len()) && plain).then(|| Self(Zeroizing::new(text.as_bytes().to_vec())))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
