//! The configuration: one TOML file and variables that stand for its keys; unknown keys are errors,
//! secrets stand in files of their own.
//!
//! A section has its file here, unless its options belong to the room that they configure.

mod approvals;
mod cards;
mod database;
mod environment;
mod error;
mod personalization;
mod pin;
mod secret;
mod secret_files;
mod server;
mod sign_in;
mod synchronization;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealwright_pki::profile::ProfileOptions;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::audit::HeadsOptions;
use crate::auth::RoleOptions;
use crate::directory::DirectoryOptions;
use crate::issuance::{self, AuthorityOptions, Issuance, IssuanceError, Slot};

pub use cards::CardOptions;
pub use environment::OverrideError;
pub use error::ConfigurationError;
pub use personalization::{ApprovalScope, PersonalizationOptions};
pub use pin::PinOptions;
pub use server::ServerOptions;
pub use sign_in::SignInOptions;
pub use synchronization::SynchronizationOptions;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Configuration {
    #[serde(default = "default_tenant")]
    pub tenant: String,
    /// How the portal names itself to people and cards.
    pub name: String,
    pub server: ServerOptions,
    /// `sqlite:/path/to/file` or `postgres://user@host/database`.
    pub database: String,
    /// The password of the database's user, if it asks for one.
    pub database_password_file: Option<PathBuf>,
    pub sign_in: SignInOptions,
    /// Role handlers, by role.
    pub roles: BTreeMap<String, RoleOptions>,
    pub directory: DirectoryOptions,
    /// 32 random bytes in base64: secrets of cards are sealed under it.
    pub sealing_key_file: PathBuf,
    /// The authority that issues people's certificates.
    pub issuing_authority: String,
    /// SHA-256 digests of public keys (SubjectPublicKeyInfo) that are known to be compromised, one
    /// a line.
    pub blocked_keys_file: Option<PathBuf>,
    pub authorities: BTreeMap<String, AuthorityOptions>,
    pub profiles: BTreeMap<String, ProfileOptions>,
    pub personalization: PersonalizationOptions,
    #[serde(default)]
    pub synchronization: SynchronizationOptions,
    #[serde(default)]
    pub cards: CardOptions,
    /// Where signed heads of the audit chain go; without it none are exported.
    pub audit: Option<HeadsOptions>,
    /// The folder of the workflow files; else the ones that are built in.
    pub workflows: Option<PathBuf>,
}

fn default_tenant() -> String {
    "default".to_owned()
}

impl Configuration {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ConfigurationError`] with the line that is wrong.
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigurationError::File { path: path.to_owned(), error })?;
        let wrong = |error| ConfigurationError::Syntax { path: path.to_owned(), error: Box::new(error) };

        // The file alone first: its own mistakes are named with their lines.
        let mut table: toml::Table = toml::from_str(&text).map_err(wrong)?;
        let variables = environment::ours(std::env::vars_os())?;
        let configuration: Self = if variables.is_empty() {
            toml::from_str(&text).map_err(wrong)?
        } else {
            environment::apply(&mut table, variables)?;
            table.try_into().map_err(wrong)?
        };

        configuration.check()?;
        Ok(configuration)
    }

    /// Checks the values that no type can check, section by section.
    fn check(&self) -> Result<(), ConfigurationError> {
        database::check(&self.database)?;
        self.server.check()?;
        self.cards.pin.check()?;
        self.synchronization.check()
    }

    /// Checks that somebody can approve where a profile wants an approval.
    ///
    /// # Errors
    /// [`ConfigurationError::Approval`].
    pub fn check_approvals(&self) -> Result<(), ConfigurationError> {
        approvals::check(&self.profiles, &self.roles)
    }

    /// The password of the database's user.
    ///
    /// # Errors
    /// [`ConfigurationError::File`].
    pub fn database_password(&self) -> Result<Option<Zeroizing<String>>, ConfigurationError> {
        self.database_password_file.as_deref().map(database::password).transpose()
    }

    /// Loads the authorities, their keys and the profiles, and the slots of a new card.
    ///
    /// # Errors
    /// [`IssuanceError`].
    pub fn issuance(&self) -> Result<(Issuance, Vec<Slot>), IssuanceError> {
        issuance::load(
            &self.authorities,
            &self.profiles,
            &self.personalization.slots,
            &self.issuing_authority,
            &self.server.public_url,
            self.blocked_keys_file.as_deref(),
        )
    }
}
