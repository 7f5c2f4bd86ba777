//! Connections: encrypted, bound, pooled, and tried before they are used again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchResult};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::person::MappingOptions;
use super::{DirectoryError, bounded_stream, classify};

pub(super) const OPERATION_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A server that did not answer is the last to be asked for so long.
const AVOIDED: Duration = Duration::from_secs(60);
/// A connection that was not used for so long is asked whether it lives.
const RESTED: Duration = Duration::from_secs(30);
const HEALTH_LIMIT: Duration = Duration::from_secs(2);

/// The section `[directory]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DirectoryOptions {
    /// `ldap://host:port` or `ldaps://host:port`, the preferred one first. They must be copies of each other.
    pub servers: Vec<String>,
    /// What kind of directory it is: where it keeps what, unless the following say otherwise.
    #[serde(default)]
    pub kind: Kind,
    #[serde(default)]
    pub encryption: Encryption,
    /// PEM file of the CA that the server's certificate chains to.
    pub ca_file: Option<PathBuf>,
    pub bind_dn: String,
    pub bind_password_file: PathBuf,
    pub base: String,
    /// Where the groups are that may be within a role's group. Without it: in the whole domain of that group (its `dc` components), or beside it.
    pub groups_base: Option<String>,
    /// The filter that finds one person; `{login}` is replaced by the escaped login, and by `*` to find everybody.
    pub filter: Option<String>,
    #[serde(default)]
    pub attributes: MappingOptions,
    /// To each of the servers, at most.
    #[serde(default = "default_connections")]
    pub connections: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    #[default]
    StartTls,
    /// `ldaps://` in the URL.
    Tls,
    /// Only for a directory on the loopback address.
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    #[default]
    OpenLdap,
    ActiveDirectory,
}

impl Kind {
    pub(super) fn filter(self) -> &'static str {
        match self {
            Self::OpenLdap => "(&(objectClass=person)(uid={login}))",
            Self::ActiveDirectory => "(&(objectCategory=person)(objectClass=user)(sAMAccountName={login}))",
        }
    }
}

fn default_connections() -> usize {
    4
}

/// Why the directory's options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("directory: `filter` must contain {{login}}")]
    Filter,
    #[error(
        "directory: each of `servers` must be ldap://host or ldaps://host, as `encryption` says, and there must be one"
    )]
    Url,
    #[error("directory: without encryption only a loopback address is allowed")]
    Plain,
    #[error("directory: {path} cannot be read")]
    File { path: PathBuf },
    #[error("directory: {0}")]
    Authorities(#[from] crate::tls::TlsFileError),
    #[error("directory: the password must not be empty")]
    Password,
    #[error("directory: TLS cannot be set up")]
    Tls,
}

/// How one server is connected to.
struct Manager {
    url: String,
    settings: LdapConnSettings,
    bind_dn: String,
    password: Zeroizing<String>,
}

impl managed::Manager for Manager {
    type Type = Ldap;
    type Error = LdapError;

    async fn create(&self) -> Result<Ldap, LdapError> {
        let settings = self.settings.clone().set_std_stream(bounded_stream::connect(&self.url).await?);
        let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &self.url).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a directory connection ended");
            }
        });
        ldap.simple_bind(&self.bind_dn, &self.password).await?.success()?;
        Ok(ldap)
    }

    /// A connection that has rested may be dead without knowing: firewalls forget it silently. It is asked for the root DSE, which every server
    /// answers (RFC 4512 section 5.1).
    async fn recycle(&self, ldap: &mut Ldap, metrics: &Metrics) -> RecycleResult<LdapError> {
        if ldap.is_closed() {
            return Err(RecycleError::message("closed"));
        }
        if metrics.last_used() > RESTED {
            let asked = ldap.with_timeout(HEALTH_LIMIT).search("", Scope::Base, "(objectClass=*)", ["1.1"]).await;
            asked.and_then(SearchResult::success).map_err(RecycleError::Backend)?;
        }
        Ok(())
    }
}

/// One server of several, its connections, and when it last did not answer.
struct Server {
    connections: managed::Pool<Manager>,
    failed: Mutex<Option<Instant>>,
}

impl Server {
    fn new(manager: Manager, connections: usize) -> Result<Self, OptionsError> {
        let connections = managed::Pool::builder(manager)
            .max_size(connections.max(1))
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(OPERATION_LIMIT))
            .create_timeout(Some(CONNECT_LIMIT))
            .build()
            .map_err(|_| OptionsError::Tls)?;
        Ok(Self { connections, failed: Mutex::default() })
    }

    fn note(&self, failed: bool) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed.then(Instant::now);
    }

    fn failed_lately(&self) -> Option<Instant> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).filter(|at| at.elapsed() < AVOIDED)
    }

    /// Runs one operation; a connection that turns out to be lost is replaced once. A server that does not do it is noted, and its other
    /// connections are given up: each of them would cost as much time.
    async fn run<T, Fut>(&self, limit: Duration, operation: impl Fn(Ldap) -> Fut) -> Result<T, DirectoryError>
    where
        Fut: Future<Output = Result<T, LdapError>>,
    {
        let mut result = self.try_once(limit, &operation).await;
        if matches!(&result, Ok(Err(error)) if is_loss(error)) {
            // The others of the pool were lost with it.
            self.connections.retain(|_, _| false);
            result = self.try_once(limit, &operation).await;
        }
        let error = match result {
            Ok(Ok(value)) => {
                self.note(false);
                return Ok(value);
            }
            Ok(Err(error)) => managed::PoolError::Backend(error),
            Err(error) => error,
        };
        tracing::warn!(server = self.connections.manager().url, %error, "a directory server did not answer");
        // That all of its connections are in use says nothing against it.
        if !matches!(error, managed::PoolError::Timeout(managed::TimeoutType::Wait)) {
            self.note(true);
            self.connections.retain(|_, _| false);
        }
        Err(match error {
            managed::PoolError::Timeout(_) => DirectoryError::Timeout,
            managed::PoolError::Backend(error) => classify(&error),
            _ => DirectoryError::Unavailable,
        })
    }

    /// What came of an operation; an error outside of that when there is no connection for it.
    async fn try_once<T, Fut>(
        &self,
        limit: Duration,
        operation: impl Fn(Ldap) -> Fut,
    ) -> Result<Result<T, LdapError>, managed::PoolError<LdapError>>
    where
        Fut: Future<Output = Result<T, LdapError>>,
    {
        let ldap = self.connections.get().await?;
        let result = tokio::time::timeout(limit, operation(ldap.clone())).await;
        let result = result.unwrap_or_else(|elapsed| Err(LdapError::Timeout { elapsed }));
        if result.is_err() {
            // The server may still answer: nobody else must read that.
            drop(managed::Object::take(ldap));
        }
        Ok(result)
    }
}

/// Whether an error says that the connection is gone, and nothing of its server.
fn is_loss(error: &LdapError) -> bool {
    matches!(
        error,
        LdapError::Io { .. }
            | LdapError::OpSend { .. }
            | LdapError::ResultRecv { .. }
            | LdapError::MiscSend { .. }
            | LdapError::IdScrubSend { .. }
            | LdapError::EndOfStream
    )
}

/// The servers, in the order of the configuration.
#[derive(Clone)]
pub(super) struct Pool {
    servers: Arc<[Server]>,
}

impl Pool {
    pub(super) fn new(options: &DirectoryOptions) -> Result<Self, OptionsError> {
        let password = std::fs::read_to_string(&options.bind_password_file)
            .map_err(|_| OptionsError::File { path: options.bind_password_file.clone() })?;
        let password = Zeroizing::new(password.trim_end_matches(['\r', '\n']).to_owned());
        // A server takes an empty password for an anonymous bind and says yes.
        if password.is_empty() {
            return Err(OptionsError::Password);
        }
        let mut settings = LdapConnSettings::new().set_conn_timeout(CONNECT_LIMIT);
        match options.encryption {
            Encryption::StartTls => settings = settings.set_starttls(true).set_config(tls(options)?),
            Encryption::Tls => settings = settings.set_config(tls(options)?),
            Encryption::None => {}
        }
        if options.servers.is_empty() {
            return Err(OptionsError::Url);
        }
        let server = |url: &String| {
            check_url(url, options.encryption)?;
            let (url, settings, bind_dn) = (url.clone(), settings.clone(), options.bind_dn.clone());
            Server::new(Manager { url, settings, bind_dn, password: password.clone() }, options.connections)
        };
        let servers = options.servers.iter().map(server).collect::<Result<Arc<[Server]>, _>>()?;
        Ok(Self { servers })
    }

    /// Those that answer first, in the order of the configuration; then those that lately did not, the one that did not longest ago first.
    fn in_order(&self) -> Vec<&Server> {
        let mut servers: Vec<&Server> = self.servers.iter().collect();
        servers.sort_by_cached_key(|server| server.failed_lately());
        servers
    }

    /// Runs one operation on the first server that does it. One that did not may have done it without saying so: an operation must be one that
    /// can be done twice.
    pub(super) async fn run<T, Fut>(&self, operation: impl Fn(Ldap) -> Fut + Send + Sync) -> Result<T, DirectoryError>
    where
        Fut: Future<Output = Result<T, LdapError>> + Send,
    {
        self.run_for(OPERATION_LIMIT, operation).await
    }

    /// The same, within a time of its own.
    pub(super) async fn run_for<T, Fut>(
        &self,
        limit: Duration,
        operation: impl Fn(Ldap) -> Fut + Send + Sync,
    ) -> Result<T, DirectoryError>
    where
        Fut: Future<Output = Result<T, LdapError>> + Send,
    {
        let begun = Instant::now();
        let mut last = DirectoryError::Unavailable;
        for server in self.in_order() {
            // The next server has what the last one has left, and no less than one answer may take.
            let left = limit.saturating_sub(begun.elapsed()).max(OPERATION_LIMIT);
            match server.run(left, &operation).await {
                Ok(value) => return Ok(value),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Runs one operation on every server that answers, and there must be one. One that lately did not is asked only while no other one has
    /// answered: each time may cost as much as a connection may take.
    pub(super) async fn run_everywhere<T, Fut>(
        &self,
        operation: impl Fn(Ldap) -> Fut + Send + Sync,
    ) -> Result<Vec<T>, DirectoryError>
    where
        Fut: Future<Output = Result<T, LdapError>> + Send,
    {
        let mut answers = Vec::new();
        let mut last = DirectoryError::Unavailable;
        for server in self.in_order() {
            if !answers.is_empty() && server.failed_lately().is_some() {
                continue;
            }
            match server.run(OPERATION_LIMIT, &operation).await {
                Ok(answer) => answers.push(answer),
                // It is there and has too much to do: nothing is known without it.
                Err(error) if server.failed_lately().is_none() => return Err(error),
                Err(error) => last = error,
            }
        }
        if answers.is_empty() { Err(last) } else { Ok(answers) }
    }
}

/// What is not encrypted must not leave the machine.
fn check_url(url: &str, encryption: Encryption) -> Result<(), OptionsError> {
    let (scheme, host) = url.split_once("://").ok_or(OptionsError::Url)?;
    let expected = if encryption == Encryption::Tls { "ldaps" } else { "ldap" };
    if scheme != expected || host.is_empty() || host.starts_with([':', '/']) {
        return Err(OptionsError::Url);
    }
    let is_local = host == "127.0.0.1" || host.starts_with("127.0.0.1:");
    if encryption == Encryption::None && !is_local { Err(OptionsError::Plain) } else { Ok(()) }
}

fn tls(options: &DirectoryOptions) -> Result<Arc<rustls::ClientConfig>, OptionsError> {
    let path = options.ca_file.clone().ok_or(OptionsError::Tls)?;
    let roots = crate::tls::authorities(&path)?;
    let config = rustls::ClientConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|_| OptionsError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
