//! The configuration file and the list of portals that this person trusts.

use std::path::PathBuf;

use sealwright_protocol::visible;
use serde::Deserialize;

use crate::error::Error;
use crate::token::ModuleOptions;
use crate::{private_file, terminal};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    /// Addresses of portals that the agent talks to without asking.
    #[serde(default)]
    trust: Vec<String>,
    /// The portal that typed codes are from.
    portal: Option<String>,
    /// PEM of the CA that the portals' TLS certificates chain to, beside the system's.
    ca_file: Option<PathBuf>,
    /// Where journals and confirmed portals are kept.
    state: Option<PathBuf>,
    /// PKCS#11 modules of tokens that are no PIV cards.
    #[serde(default)]
    modules: Vec<ModuleOptions>,
}

/// The configuration with its defaults filled in.
#[derive(Debug)]
pub struct Configuration {
    trust: Vec<String>,
    /// The portal that typed codes are from.
    pub portal: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub state: PathBuf,
    pub modules: Vec<ModuleOptions>,
}

impl Configuration {
    /// Reads the file; without one, there is no trusted portal and the state is in the person's own
    /// folder.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something unknown.
    pub fn read(path: Option<PathBuf>) -> Result<Self, Error> {
        let file = match path
            .or_else(|| folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("sealwright-agent.toml")))
        {
            Some(path) if path.exists() => {
                let text = std::fs::read_to_string(&path).map_err(|error| Error::File { path: path.clone(), error })?;
                toml::from_str(&text).map_err(|error| Error::say(format!("{}: {error}", path.display())))?
            }
            _ => File::default(),
        };
        let state = file
            .state
            .or_else(|| folder("XDG_STATE_HOME", ".local/state").map(|folder| folder.join("sealwright-agent")))
            .ok_or_else(|| {
                Error::say("There is no home folder for the agent's state; name one in the configuration.")
            })?;
        Ok(Self { trust: file.trust, portal: file.portal, ca_file: file.ca_file, state, modules: file.modules })
    }

    /// Whether the portal is trusted; asks the person once if it is not known.
    ///
    /// # Errors
    /// The person says no, or the answer cannot be kept.
    pub fn trust(&self, portal: &str) -> Result<(), Error> {
        if self.trust.iter().any(|known| same(known, portal)) {
            return Ok(());
        }
        let list = self.state.join("trusted-portals");
        let known = std::fs::read_to_string(&list).unwrap_or_default();
        if known.lines().any(|line| same(line, portal)) {
            return Ok(());
        }
        let shown = visible(portal);
        let question = format!("The portal {shown} is not known on this computer. Is it your company's? [y/N] ");
        match terminal::ask(&question)? {
            Some(true) => {}
            Some(false) => return Err(Error::say("Nothing was done.")),
            None => {
                return Err(Error::say("Nobody answered whether the portal may be trusted. Nothing was done."));
            }
        }
        private_file::write(&list, &format!("{known}{portal}\n"))
    }
}

fn same(known: &str, portal: &str) -> bool {
    known.trim_end_matches('/') == portal.trim_end_matches('/')
}

#[expect(clippy::disallowed_methods, reason = "the configuration is where the environment is read")]
fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(below_home)))
}
