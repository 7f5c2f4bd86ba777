//! The section `[cards.pin]`: rules for the PINs that people choose.

use sealwright_protocol::{PIN_LENGTHS, PinPolicy};
use serde::Deserialize;

use super::error::ConfigurationError;

/// The strictest rules, unless the file relaxes them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PinOptions {
    pub minimum_length: u8,
    pub maximum_length: u8,
    /// Letters and signs are refused.
    pub digits_only: bool,
    /// A PIN such as 111111 is accepted.
    pub allow_repetition: bool,
    /// A PIN such as 123456 or 654321 is accepted.
    pub allow_sequence: bool,
}

impl Default for PinOptions {
    fn default() -> Self {
        Self {
            minimum_length: *PIN_LENGTHS.start(),
            maximum_length: *PIN_LENGTHS.end(),
            digits_only: true,
            allow_repetition: false,
            allow_sequence: false,
        }
    }
}

impl PinOptions {
    /// # Errors
    /// [`ConfigurationError::PinLength`].
    pub(super) fn check(&self) -> Result<(), ConfigurationError> {
        let are_possible = PIN_LENGTHS.contains(&self.minimum_length) && PIN_LENGTHS.contains(&self.maximum_length);
        if are_possible && self.minimum_length <= self.maximum_length {
            Ok(())
        } else {
            Err(ConfigurationError::PinLength)
        }
    }

    /// The rules as the agent is told them.
    pub fn policy(&self) -> PinPolicy {
        PinPolicy {
            minimum_length: self.minimum_length,
            maximum_length: self.maximum_length,
            digits_only: self.digits_only,
            no_repetition: !self.allow_repetition,
            no_sequence: !self.allow_sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PinPolicy, ConfigurationError> {
        let options: PinOptions = toml::from_str(text).expect("a section");
        options.check().map(|()| options.policy())
    }

    #[test]
    fn without_a_section_the_rules_are_strict() {
        assert_eq!(read("").expect("rules"), PinPolicy::default());
        let relaxed = read("minimum-length = 8\ndigits-only = false\nallow-sequence = true").expect("rules");
        assert!(relaxed.minimum_length == 8 && !relaxed.digits_only && !relaxed.no_sequence && relaxed.no_repetition);
    }

    #[test]
    fn lengths_that_no_card_takes_are_refused() {
        for text in ["minimum-length = 4", "maximum-length = 9", "minimum-length = 8\nmaximum-length = 7"] {
            assert!(matches!(read(text), Err(ConfigurationError::PinLength)), "{text}");
        }
        assert!(toml::from_str::<PinOptions>("length = 6").is_err());
    }
}
