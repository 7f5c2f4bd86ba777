//! The modules that the configuration names, and the tokens that they show.

use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use serde::Deserialize;

use super::driver::{Token, token_serial};
use super::quirks::{Overrides, Quirk, Quirks};
use crate::terminal::Say;

/// A module of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModuleOptions {
    /// The shared library.
    path: PathBuf,
    /// Overrides of the quirks that the agent knows of this vendor's tokens.
    #[serde(default)]
    quirks: Overrides,
}

/// All modules, loaded.
pub struct Tokens {
    modules: Vec<Module>,
}

struct Module {
    module: Pkcs11,
    /// Manufacturer and description, as C_GetInfo tells them.
    library: String,
    overrides: Overrides,
    known: Quirks,
}

impl Tokens {
    /// Loads the modules. The person is told of one that cannot be loaded, and the others are used.
    pub fn load(options: &[ModuleOptions], say: &Say) -> Self {
        let load = |options: &ModuleOptions| match Module::load(options) {
            Ok(module) => Some(module),
            Err(why) => {
                say(format!("The module {} cannot be used: {why}", options.path.display()));
                None
            }
        };
        Self { modules: options.iter().filter_map(load).collect() }
    }

    /// Whether there is no module.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// Every token that is there now and has a serial number.
    pub fn all(&self) -> Vec<Token> {
        self.modules.iter().flat_map(Module::tokens).collect()
    }
}

impl Module {
    fn load(options: &ModuleOptions) -> Result<Self, String> {
        let said = |error: Error| error.to_string();
        let module = Pkcs11::new(&options.path).map_err(said)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(said(error)),
        }
        let info = module.get_library_info().map_err(said)?;
        let library = format!("{} {}", info.manufacturer_id().trim(), info.library_description().trim());
        Ok(Self { module, library, overrides: options.quirks.clone(), known: Quirks::built_in()? })
    }

    fn tokens(&self) -> Vec<Token> {
        let slots = self.module.get_slots_with_token().unwrap_or_else(|error| {
            tracing::warn!(%error, library = self.library, "a module does not say which tokens are there");
            Vec::new()
        });
        let found = slots.into_iter().filter_map(|slot| {
            let info = self.module.get_token_info(slot).ok()?;
            let serial = token_serial(&info)?;
            let quirk: Quirk = self.known.of(&self.library, &info).with(&self.overrides);
            if let Some(why) = quirk.skip {
                tracing::debug!(serial, why, "a token is left alone");
                return None;
            }
            let reader = self.module.get_slot_info(slot).ok()?.slot_description().trim().to_owned();
            Some(Token { module: self.module.clone(), slot, reader, serial, quirk })
        });
        found.collect()
    }
}
