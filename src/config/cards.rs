//! The section `[cards]`: the cards that may be personalized, and the authorities that are believed
//! when a card attests a key.

use std::path::{Path, PathBuf};

use sealwright_pki::certificate;
use sealwright_protocol::Secret;
use serde::Deserialize;

use super::error::ConfigurationError;
use super::pin::PinOptions;
use super::secret;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CardOptions {
    /// Any blank card with factory secrets may be personalized.
    #[serde(default)]
    pub any_blank: bool,
    /// Serial numbers of cards in stock.
    #[serde(default)]
    pub stock: Vec<String>,
    /// The security officer's PIN that PKCS#11 tokens come from the factory with. Without it no
    /// token is taken.
    pub factory_so_pin_file: Option<PathBuf>,
    /// Certificates (PEM) of the authorities that are believed when a card attests a key. Without
    /// it attestations are not looked at.
    pub attestation_authorities_file: Option<PathBuf>,
    /// Keys that their card does not attest are refused.
    #[serde(default)]
    pub attestation_required: bool,
    /// Rules for the PINs that people choose.
    #[serde(default)]
    pub pin: PinOptions,
}

impl CardOptions {
    /// Reads the security officer's PIN of new tokens; none without a file.
    ///
    /// # Errors
    /// [`ConfigurationError::File`], [`ConfigurationError::SoPin`].
    pub fn factory_so_pin(&self) -> Result<Option<Secret>, ConfigurationError> {
        self.factory_so_pin_file.as_deref().map(read_so_pin).transpose()
    }

    /// Reads the certificates (DER) that attestations are checked against; none without a file.
    ///
    /// # Errors
    /// [`ConfigurationError::AttestationRequired`] when attestations are required and there is no
    /// file, [`ConfigurationError::File`], [`ConfigurationError::NoCertificate`].
    pub fn attestation_authorities(&self) -> Result<Vec<Vec<u8>>, ConfigurationError> {
        let Some(path) = &self.attestation_authorities_file else {
            return if self.attestation_required {
                Err(ConfigurationError::AttestationRequired)
            } else {
                Ok(Vec::new())
            };
        };

        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| ConfigurationError::File { path: path.clone(), error })?;
        let authorities = certificate::from_pem("CERTIFICATE", &text);
        if authorities.is_empty() {
            return Err(ConfigurationError::NoCertificate { path: path.clone() });
        }
        Ok(authorities)
    }
}

fn read_so_pin(path: &Path) -> Result<Secret, ConfigurationError> {
    let text = secret::read(path)?;
    let pin = text.trim_end_matches(['\r', '\n']);
    let plain = (4..=64).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_graphic());
    if plain {
        Ok(Secret::new(pin.as_bytes().to_vec()))
    } else {
        Err(ConfigurationError::SoPin { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn an_empty_section_takes_no_blank_card_and_no_token() {
        let options: CardOptions = toml::from_str("").expect("a section");
        assert!(!options.any_blank && options.stock.is_empty() && !options.attestation_required);
        assert!(matches!(options.factory_so_pin(), Ok(None)));
        assert!(options.attestation_authorities().is_ok_and(|authorities| authorities.is_empty()));
    }

    #[test]
    fn the_pin_of_new_tokens_is_a_line_of_4_to_64_characters() {
        let read = |text: &str| {
            let file = file(text);
            let factory_so_pin_file = Some(file.path().to_owned());
            CardOptions { factory_so_pin_file, ..CardOptions::default() }.factory_so_pin()
        };
        for text in ["1234", "12345678\r\n"] {
            let pin = read(text).expect("a PIN").expect("a PIN");
            assert_eq!(pin.reveal(), text.trim_end().as_bytes());
        }
        for text in ["", "123\n", "12 45678", " 12345678", &"1".repeat(65)] {
            assert!(matches!(read(text), Err(ConfigurationError::SoPin { .. })), "{text:?}");
        }
    }

    #[test]
    fn required_attestations_need_authorities() {
        let options = CardOptions { attestation_required: true, ..CardOptions::default() };
        assert!(matches!(options.attestation_authorities(), Err(ConfigurationError::AttestationRequired)));
        let empty = file("no certificate");
        let options = CardOptions { attestation_authorities_file: Some(empty.path().to_owned()), ..options };
        assert!(matches!(options.attestation_authorities(), Err(ConfigurationError::NoCertificate { .. })));
    }
}
