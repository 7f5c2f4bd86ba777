//! The configuration: one TOML file and variables that stand for its keys; unknown keys are errors, secrets stand in files of their own.

mod environment;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use sealwright_pki::profile::ProfileOptions;
use serde::Deserialize;
use zeroize::Zeroizing;

pub use environment::OverrideError;

use crate::audit::HeadsOptions;
use crate::auth::RoleOptions;
use crate::auth::header::ProofOptions;
use crate::directory::DirectoryOptions;
use crate::issuance::{AuthorityOptions, DepartureAction, MOST_DEPARTURES, SlotOptions};

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
    /// SHA-256 digests of public keys (SubjectPublicKeyInfo) that are known to be compromised, one a line.
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

/// Three surfaces on three addresses, each behind its own part of the proxy.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServerOptions {
    /// Pages and API, behind the sign-in.
    pub pages: SocketAddr,
    /// The agents' channel, over TLS without sign-in.
    pub agent: SocketAddr,
    /// `/pki/…`, anonymous over plain http.
    pub public: SocketAddr,
    /// `/health/…` and `/metrics`, for the machine that watches; without it there are none.
    pub operations: Option<SocketAddr>,
    pub pages_url: String,
    pub agent_url: String,
    pub public_url: String,
    /// How the agent is called in a terminal, for the page that says so.
    #[serde(default = "default_agent_command")]
    pub agent_command: String,
}

/// Who may tell the portal who somebody is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SignInOptions {
    /// The header with the login, or with an assertion of it.
    #[serde(default = "default_header")]
    pub header: String,
    /// Addresses of the proxy.
    pub peers: Vec<IpAddr>,
    /// The header in which the proxy says where a request comes from, for the audit; of a list its last address. Without it the audit has the proxy's.
    pub address_header: Option<String>,
    /// What shows beside the address that it is the proxy.
    pub proof: ProofOptions,
    /// Sessions end after so many minutes without a request.
    #[serde(default = "default_idle")]
    pub idle_minutes: u32,
    /// A role is asked for again after so many minutes.
    #[serde(default = "default_role_check")]
    pub role_check_minutes: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PersonalizationOptions {
    pub slots: Vec<SlotOptions>,
}

/// What is done when the directory says otherwise than certificates do: `keep`, `suspend` or `revoke`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SynchronizationOptions {
    /// The directory does not have the person any more.
    pub gone: DepartureAction,
    pub disabled: DepartureAction,
    /// A certificate names the person otherwise than the directory does.
    pub moved: DepartureAction,
    /// Whether certificates that are suspended are taken out of the directory until they are reinstated. Revoked ones always are.
    pub unpublish: bool,
    /// Of more people than this at once, a CA operator is asked first. Fewer than one comparison can give, or nobody would ever be asked.
    pub at_most: u32,
}

impl Default for SynchronizationOptions {
    fn default() -> Self {
        Self {
            gone: DepartureAction::Revoke,
            disabled: DepartureAction::Suspend,
            moved: DepartureAction::Keep,
            unpublish: true,
            at_most: 20,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CardOptions {
    /// Any blank card with factory secrets may be personalized.
    #[serde(default)]
    pub any_blank: bool,
    /// Serial numbers of cards in stock.
    #[serde(default)]
    pub stock: Vec<String>,
    /// The security officer's PIN that PKCS#11 tokens come from the factory with. Without it no token is taken.
    pub factory_so_pin_file: Option<PathBuf>,
    /// Certificates (PEM) of the authorities that are believed when a card attests a key. Without it attestations are not looked at.
    pub attestation_authorities_file: Option<PathBuf>,
    /// Keys that their card does not attest are refused.
    #[serde(default)]
    pub attestation_required: bool,
}

fn default_tenant() -> String {
    "default".to_owned()
}

fn default_agent_command() -> String {
    "sealwright-agent".to_owned()
}

fn default_header() -> String {
    "X-Remote-User".to_owned()
}

fn default_idle() -> u32 {
    60
}

fn default_role_check() -> u32 {
    5
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error("{path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("{path}: {error}")]
    Syntax { path: PathBuf, error: Box<toml::de::Error> },
    #[error(transparent)]
    Override(#[from] OverrideError),
    #[error("synchronization: `keep`, `suspend` or `revoke`")]
    Synchronization,
    #[error("synchronization: `at-most` must be less than {most}", most = MOST_DEPARTURES)]
    AtMost,
    #[error("database: the password belongs in a file that `database-password-file` names")]
    DatabasePassword,
    #[error("server: the addresses must differ")]
    Addresses,
    #[error("server: `{0}` must begin with http:// or https:// and end without a slash")]
    Url(&'static str),
    #[error("server: `public-url` must begin with http://, so that fetching a list needs no certificate")]
    PublicUrl,
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
        if !variables.is_empty() {
            environment::apply(&mut table, variables)?;
            let configuration: Self = table.try_into().map_err(wrong)?;
            configuration.check()?;
            return Ok(configuration);
        }
        let configuration: Self = toml::from_str(&text).map_err(wrong)?;
        configuration.check()?;
        Ok(configuration)
    }

    fn check(&self) -> Result<(), ConfigurationError> {
        if holds_password(&self.database) {
            return Err(ConfigurationError::DatabasePassword);
        }
        let server = &self.server;
        let addresses = [Some(server.pages), Some(server.agent), Some(server.public), server.operations];
        let distinct: BTreeSet<SocketAddr> = addresses.into_iter().flatten().collect();
        if distinct.len() < addresses.into_iter().flatten().count() {
            return Err(ConfigurationError::Addresses);
        }
        let synchronization = &self.synchronization;
        if [synchronization.gone, synchronization.disabled, synchronization.moved].contains(&DepartureAction::Reinstate)
        {
            return Err(ConfigurationError::Synchronization);
        }
        if usize::try_from(synchronization.at_most).unwrap_or(usize::MAX) >= MOST_DEPARTURES {
            return Err(ConfigurationError::AtMost);
        }
        let urls =
            [("pages-url", &server.pages_url), ("agent-url", &server.agent_url), ("public-url", &server.public_url)];
        for (name, url) in urls {
            let valid = (url.starts_with("http://") || url.starts_with("https://")) && !url.ends_with('/');
            if !valid {
                return Err(ConfigurationError::Url(name));
            }
        }
        // RFC 5280 section 8. A rule of what is issued finds it too, but when the first person's card is written.
        if !server.public_url.starts_with("http://") {
            return Err(ConfigurationError::PublicUrl);
        }
        Ok(())
    }

    /// The password of the database's user.
    ///
    /// # Errors
    /// [`ConfigurationError`].
    pub fn database_password(&self) -> Result<Option<Zeroizing<String>>, ConfigurationError> {
        self.database_password_file.as_deref().map(secret).transpose()
    }
}

/// Whether a database's URL has a password in it: everybody on the machine would read it on the command line of PostgreSQL's programs.
fn holds_password(url: &str) -> bool {
    let Some((_, place)) = url.split_once("://") else { return false };
    let (place, options) = place.split_once('?').unwrap_or((place, ""));
    let user = place.split('/').next().and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || options.split('&').any(|option| option.starts_with("password="))
}

/// The secret in a file, without the line's end.
fn secret(path: &Path) -> Result<Zeroizing<String>, ConfigurationError> {
    let text = std::fs::read_to_string(path);
    let text = Zeroizing::new(text.map_err(|error| ConfigurationError::File { path: path.to_owned(), error })?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_found() {
        for url in [
            "postgres://sealwright:secret@host/database",
            "postgres://sealwright:@host",
            "postgres://sealwright@host/database?sslmode=verify-full&password=secret",
        ] {
            assert!(holds_password(url), "{url}");
        }
        for url in [
            "postgres://sealwright@host:5432/database?sslmode=verify-full&sslrootcert=/etc/ca:1.pem",
            "postgres://host:5432/database",
            "postgres:///database?host=/run/postgresql&user=sealwright",
            "sqlite:/var/lib/sealwright/a@b:c.db",
        ] {
            assert!(!holds_password(url), "{url}");
        }
    }
}
