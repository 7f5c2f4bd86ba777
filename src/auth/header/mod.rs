//! The header by which the web server in front says who somebody is: believed from one peer with one proof, in one spelling, once.

mod spelling;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::assertion::{AssertionOptions, Assertions, KeySetError};
use super::mutual_tls::MutualTlsOptions;

use spelling::{LONGEST_LOGIN, canonical, squeezed};

/// The login and the role that the portal itself acts under: nobody signs in as it, and no handler grants it.
pub const SYSTEM: &str = "system";
/// The shortest secret in characters.
const SHORTEST_SECRET: usize = 32;

/// What shows, beside its address, that a request comes from the proxy.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ProofOptions {
    /// A secret that both know, in a header of its own.
    Secret {
        #[serde(default = "default_secret_header")]
        header: String,
        file: PathBuf,
    },
    /// The certificate of the TLS connection between the two.
    MutualTls(MutualTlsOptions),
    /// A signature: the login header holds a JSON Web Token.
    Assertion(AssertionOptions),
}

fn default_secret_header() -> String {
    "X-Sealwright-Proxy".to_owned()
}

/// Why the proxy could not be believed at all.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    #[error("{0} cannot be read")]
    File(PathBuf),
    #[error("the secret must have at least {SHORTEST_SECRET} characters")]
    Secret,
    #[error(transparent)]
    Keys(#[from] KeySetError),
    #[error("`{0}` is no name of a header")]
    AddressHeader(String),
}

enum Proof {
    Secret {
        header: String,
        secret: Zeroizing<String>,
    },
    /// The handshake has shown it: nobody else gets as far as a request.
    MutualTls,
    Assertion(Assertions),
}

/// What is believed.
pub struct HeaderSignIn {
    header: String,
    proof: Proof,
    peers: Vec<IpAddr>,
    address_header: Option<String>,
}

/// Why nobody is signed in. The person reads that the sign-in failed; the audit says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the peer is not the proxy")]
    Peer,
    #[error("the proxy's secret is missing or wrong")]
    Secret,
    #[error("the assertion is not signed by a known key, not for this portal, or over")]
    Assertion,
    #[error("the header is missing or empty")]
    Missing,
    #[error("the header stands there twice")]
    Doubled,
    #[error("a header looks like the sign-in header and is not")]
    LookAlike,
    #[error("the login has characters that no login has")]
    Login,
}

impl Refusal {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Secret => "secret",
            Self::Assertion => "assertion",
            Self::Missing => "missing",
            Self::Doubled => "doubled",
            Self::LookAlike => "look-alike",
            Self::Login => "login",
        }
    }
}

impl HeaderSignIn {
    /// # Errors
    /// [`ProofError`].
    pub fn new(header: &str, proof: &ProofOptions, peers: Vec<IpAddr>) -> Result<Self, ProofError> {
        let proof = match proof {
            ProofOptions::Secret { header, file } => {
                let text = std::fs::read_to_string(file).map_err(|_| ProofError::File(file.clone()))?;
                let text = Zeroizing::new(text);
                let secret = Zeroizing::new(text.trim().to_owned());
                if secret.len() < SHORTEST_SECRET {
                    return Err(ProofError::Secret);
                }
                Proof::Secret { header: header.to_ascii_lowercase(), secret }
            }
            ProofOptions::MutualTls(_) => Proof::MutualTls,
            ProofOptions::Assertion(options) => Proof::Assertion(Assertions::read(options)?),
        };
        Ok(Self { header: header.to_ascii_lowercase(), proof, peers, address_header: None })
    }

    /// The proxy says in this header where a request comes from.
    ///
    /// # Errors
    /// [`ProofError::AddressHeader`].
    pub fn with_address_header(self, header: Option<String>) -> Result<Self, ProofError> {
        let is_name =
            |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match header {
            Some(header) if !is_name(&header) => Err(ProofError::AddressHeader(header)),
            header => Ok(Self { address_header: header, ..self }),
        }
    }

    /// Where a request comes from, for the audit: as the proxy says, or else the peer. `last` gives the last value of a header; of a list in it the last
    /// address is what the proxy itself has added.
    pub fn address<'a>(&self, peer: Option<IpAddr>, last: impl FnOnce(&str) -> Option<&'a str>) -> Option<IpAddr> {
        self.client_address(peer, last).or(peer)
    }

    /// The address of one client; none where everybody seems to come from the proxy's.
    pub fn client_address<'a>(
        &self,
        peer: Option<IpAddr>,
        last: impl FnOnce(&str) -> Option<&'a str>,
    ) -> Option<IpAddr> {
        if !self.is_proxy(peer) {
            return peer;
        }
        let said = self.address_header.as_deref().and_then(last)?;
        said.rsplit(',').next()?.trim().parse().ok()
    }

    fn is_proxy(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.peers.contains(&peer.to_canonical()))
    }

    /// The login in its canonical form. `headers` are all headers of the request as (lower-case name, value); `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn login<'a>(
        &self,
        peer: Option<IpAddr>,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        now: i64,
    ) -> Result<String, Refusal> {
        let (mut logins, mut secrets, mut look_alike) = (Vec::new(), Vec::new(), false);
        for (name, value) in headers {
            if name == self.header {
                logins.push(value);
            } else if Some(name) == self.secret_header() {
                secrets.push(value);
            } else if self.looks_like_ours(name) {
                look_alike = true;
            }
        }
        if !self.is_proxy(peer) {
            return Err(Refusal::Peer);
        }
        if look_alike {
            return Err(Refusal::LookAlike);
        }
        if logins.len() > 1 || secrets.len() > 1 {
            return Err(Refusal::Doubled);
        }
        if let Proof::Secret { secret, .. } = &self.proof {
            let given = secrets.first().copied().unwrap_or_default();
            if aws_lc_rs::constant_time::verify_slices_are_equal(given, secret.as_bytes()).is_err() {
                return Err(Refusal::Secret);
            }
        }
        let value = logins.first().copied().filter(|login| !login.is_empty()).ok_or(Refusal::Missing)?;
        let login = match &self.proof {
            Proof::Assertion(assertions) => assertions.login(value, now).ok_or(Refusal::Assertion)?.into_bytes(),
            _ => value.to_vec(),
        };
        // The portal's own name is nobody's.
        canonical(&login).filter(|login| login != SYSTEM).ok_or(Refusal::Login)
    }

    fn secret_header(&self) -> Option<&str> {
        match &self.proof {
            Proof::Secret { header, .. } => Some(header),
            _ => None,
        }
    }

    fn looks_like_ours(&self, name: &str) -> bool {
        let name = squeezed(name);
        name == squeezed(&self.header) || self.secret_header().is_some_and(|header| name == squeezed(header))
    }

    /// Who a refused request says it is, for the audit: never the whole of an assertion, which somebody could use elsewhere.
    pub fn claimed(&self, value: &str) -> Option<String> {
        match &self.proof {
            Proof::Assertion(_) => None,
            _ => Some(value.chars().take(LONGEST_LOGIN).collect()),
        }
    }

    /// Whether a request on a surface without sign-in carries a header of the sign-in.
    pub fn is_present<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        names.any(|name| self.looks_like_ours(name))
    }
}

impl std::fmt::Debug for HeaderSignIn {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("HeaderSignIn")
            .field("header", &self.header)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
