//! Deviations of vendors' modules, as data: `quirks.toml`, and the configuration, which overrides
//! it.

use cryptoki::slot::TokenInfo;
use serde::Deserialize;

/// The known modules; the first entry that fits counts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quirks {
    quirk: Vec<Known>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Known {
    /// A part of the library's manufacturer and description.
    #[serde(default)]
    library: String,
    /// A part of the token's manufacturer.
    #[serde(default)]
    manufacturer: String,
    /// A part of the token's model.
    #[serde(default)]
    model: String,
    #[serde(default)]
    quirks: Overrides,
}

/// Those that are named.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Overrides {
    skip: Option<String>,
    init_token: Option<bool>,
    ecdh_point: Option<EcdhPoint>,
}

/// How a token is dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirk {
    /// Why it is left alone.
    pub skip: Option<String>,
    /// C_InitToken makes it new.
    pub init_token: bool,
    pub ecdh_point: EcdhPoint,
}

/// How CKM_ECDH1_DERIVE takes the other side's point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EcdhPoint {
    Raw,
    OctetString,
}

impl Quirks {
    /// # Errors
    /// The file that is built in cannot be read.
    pub fn built_in() -> Result<Self, String> {
        toml::from_str(include_str!("quirks.toml")).map_err(|error| error.to_string())
    }

    /// Looks up the quirks of a token.
    pub fn of(&self, library: &str, info: &TokenInfo) -> Quirk {
        self.find(library, info.manufacturer_id(), info.model())
    }

    fn find(&self, library: &str, manufacturer: &str, model: &str) -> Quirk {
        let usual = Quirk { skip: None, init_token: true, ecdh_point: EcdhPoint::Raw };
        let fits = |known: &&Known| {
            library.contains(&known.library)
                && manufacturer.contains(&known.manufacturer)
                && model.contains(&known.model)
        };
        self.quirk.iter().find(fits).map_or(usual.clone(), |known| usual.with(&known.quirks))
    }
}

impl Quirk {
    /// The same, but for what is named.
    pub fn with(self, named: &Overrides) -> Self {
        // An empty reason is none.
        let skip = named.skip.clone().map_or(self.skip, |why| (!why.is_empty()).then_some(why));
        Self {
            skip,
            init_token: named.init_token.unwrap_or(self.init_token),
            ecdh_point: named.ecdh_point.unwrap_or(self.ecdh_point),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_told_by_what_they_say() {
        let known = Quirks::built_in().expect("the file is well");
        let usual = known.find("SoftHSM Implementation of PKCS11", "SoftHSM project", "SoftHSM v2");
        assert_eq!(usual, Quirk { skip: None, init_token: true, ecdh_point: EcdhPoint::Raw });
        let opensc = "OpenSC Project OpenSC smartcard framework";
        assert!(known.find(opensc, "piv_II", "PKCS#15 emulated").skip.is_some());
        assert!(known.find(opensc, "www.CardContact.de", "PKCS#15 emulated").skip.is_none());
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let known = Quirks::built_in().expect("the file is well");
        let opensc = known.find("OpenSC smartcard framework", "somebody", "a card");
        assert!(opensc.skip.is_some());
        let named: Overrides = toml::from_str("skip = ''\ninit-token = false").expect("overrides");
        assert_eq!(opensc.with(&named), Quirk { skip: None, init_token: false, ecdh_point: EcdhPoint::Raw });
        assert!(toml::from_str::<Overrides>("init-tokn = false").is_err());
    }
}
