//! The programs that a world starts, and everything that can be chosen about it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::authorities::TokenOptions;
use crate::configuration;

/// The programs that a world starts.
#[derive(Clone)]
pub struct Programs {
    pub portal: PathBuf,
    pub agent: PathBuf,
    pub virtual_card: PathBuf,
}

/// The parts of a world, where they are not the usual ones.
pub struct WorldOptions {
    pub folder: PathBuf,
    pub programs: Programs,
    /// SQLite in the folder when nothing is said.
    pub database: Option<String>,
    /// Variables of the portal's environment, for fail points.
    pub environment: Vec<(String, String)>,
    /// Further lines of the configuration's section `[cards]`.
    pub cards: String,
    /// Another directory than the embedded one.
    pub directory: Option<ForeignDirectory>,
    /// The sections `[profiles.…]` and `[personalization]`.
    pub profiles: String,
    /// So many people more in the embedded directory, `person-0` and on.
    pub further_people: usize,
    /// The token that keeps the issuing authority's key; a file when nothing is said.
    pub hsm: Option<TokenOptions>,
    /// The section `[sign-in.proof]`, where it is not the shared secret that the demo's own proxy has.
    pub proof: Option<String>,
    /// The proxy's address where it is free: people bookmark it.
    pub address: Option<SocketAddr>,
    /// Further arguments of the virtual cards.
    pub card_arguments: Vec<String>,
}

/// A directory that somebody else has started.
pub struct ForeignDirectory {
    /// The lines of the configuration's section `[directory]`.
    pub section: String,
    /// Where its groups of operators are.
    pub groups: String,
    /// The people that the proxy lets one pick.
    pub logins: Vec<String>,
}

impl WorldOptions {
    pub fn new(folder: &Path, programs: Programs) -> Self {
        Self {
            folder: folder.to_owned(),
            programs,
            database: None,
            environment: Vec::new(),
            cards: "any-blank = true".to_owned(),
            directory: None,
            profiles: configuration::PROFILES.to_owned(),
            further_people: 0,
            hsm: None,
            proof: None,
            address: None,
            card_arguments: Vec::new(),
        }
    }
}

impl Programs {
    /// The programs beside this one.
    ///
    /// # Errors
    /// One of them is not built.
    pub fn beside() -> anyhow::Result<Self> {
        let folder = std::env::current_exe()?.parent().context("no folder")?.to_owned();
        let find = |name: &str| {
            let path = folder.join(name);
            anyhow::ensure!(path.exists(), "{} is missing; `make demo` builds it", path.display());
            Ok(path)
        };
        Ok(Self { portal: find("sealwright")?, agent: find("sealwright-agent")?, virtual_card: find("virtual-card")? })
    }
}
