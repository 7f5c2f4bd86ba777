//! The header by which the web server in front says who somebody is: believed from one peer with one secret, in one spelling, once.

use std::net::IpAddr;

use zeroize::Zeroizing;

/// The longest login in characters.
const LONGEST_LOGIN: usize = 64;

/// What is believed.
pub struct HeaderSignIn {
    header: String,
    secret_header: String,
    secret: Zeroizing<String>,
    peers: Vec<IpAddr>,
}

/// Why nobody is signed in. The person reads that the sign-in failed; the audit says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the peer is not the proxy")]
    Peer,
    #[error("the proxy's secret is missing or wrong")]
    Secret,
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
            Self::Missing => "missing",
            Self::Doubled => "doubled",
            Self::LookAlike => "look-alike",
            Self::Login => "login",
        }
    }
}

impl HeaderSignIn {
    pub fn new(header: &str, secret_header: &str, secret: Zeroizing<String>, peers: Vec<IpAddr>) -> Self {
        Self { header: header.to_ascii_lowercase(), secret_header: secret_header.to_ascii_lowercase(), secret, peers }
    }

    /// The login in its canonical form. `headers` are all headers of the request as (lower-case name, value).
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn login<'a>(
        &self,
        peer: Option<IpAddr>,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<String, Refusal> {
        let (mut logins, mut secrets, mut look_alike) = (Vec::new(), Vec::new(), false);
        for (name, value) in headers {
            if name == self.header {
                logins.push(value);
            } else if name == self.secret_header {
                secrets.push(value);
            } else if squeezed(name) == squeezed(&self.header) || squeezed(name) == squeezed(&self.secret_header) {
                look_alike = true;
            }
        }
        let peer_is_proxy = peer.is_some_and(|peer| self.peers.contains(&peer.to_canonical()));
        if !peer_is_proxy {
            return Err(Refusal::Peer);
        }
        if look_alike {
            return Err(Refusal::LookAlike);
        }
        if logins.len() > 1 || secrets.len() > 1 {
            return Err(Refusal::Doubled);
        }
        let secret = secrets.first().copied().unwrap_or_default();
        if aws_lc_rs::constant_time::verify_slices_are_equal(secret, self.secret.as_bytes()).is_err() {
            return Err(Refusal::Secret);
        }
        let login = logins.first().copied().filter(|login| !login.is_empty()).ok_or(Refusal::Missing)?;
        canonical(login).ok_or(Refusal::Login)
    }

    /// Whether a request on a surface without sign-in carries a header of the sign-in.
    pub fn is_present<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        names.any(|name| squeezed(name) == squeezed(&self.header) || squeezed(name) == squeezed(&self.secret_header))
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

/// Servers and gateways disagree on case, underscores, dots and hyphens: all of them are one here.
fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// One person, one spelling: ASCII letters, digits and `. _ - @`, in lower case. Anything else is refused, never repaired.
fn canonical(login: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(login).ok()?;
    let plain = text.len() <= LONGEST_LOGIN
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
        && text.starts_with(|first: char| first.is_ascii_alphanumeric());
    plain.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sign_in() -> HeaderSignIn {
        let secret = Zeroizing::new("s".repeat(32));
        HeaderSignIn::new("X-Remote-User", "X-Proxy", secret, vec![IpAddr::from([127, 0, 0, 1])])
    }

    fn login(peer: [u8; 4], headers: &[(&str, &str)]) -> Result<String, Refusal> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        sign_in().login(Some(IpAddr::from(peer)), headers)
    }

    #[test]
    fn only_the_proxy_is_believed_and_only_what_is_plain() {
        let (secret, here) = ("s".repeat(32), [127, 0, 0, 1]);
        let good = ("x-proxy", secret.as_str());
        assert_eq!(login(here, &[("x-remote-user", "Alice"), good]), Ok("alice".to_owned()));
        let refused = [
            (login([10, 0, 0, 1], &[("x-remote-user", "alice"), good]), Refusal::Peer),
            (login(here, &[("x-remote-user", "alice")]), Refusal::Secret),
            (login(here, &[("x-remote-user", "alice"), ("x-proxy", "wrong")]), Refusal::Secret),
            (login(here, &[good]), Refusal::Missing),
            (login(here, &[("x-remote-user", ""), good]), Refusal::Missing),
            (login(here, &[("x-remote-user", "alice"), ("x-remote-user", "bob"), good]), Refusal::Doubled),
            (login(here, &[("x-remote-user", "alice"), good, good]), Refusal::Doubled),
            (login(here, &[("x-remote-user", "alice"), ("x_remote_user", "bob"), good]), Refusal::LookAlike),
            (login(here, &[("x-remote.user", "bob"), good]), Refusal::LookAlike),
            (login(here, &[("x-remote-user", "alice, bob"), good]), Refusal::Login),
            (login(here, &[("x-remote-user", "alice "), good]), Refusal::Login),
            (login(here, &[("x-remote-user", "аlice"), good]), Refusal::Login),
            (login(here, &[("x-remote-user", "al\u{0}ice"), good]), Refusal::Login),
        ];
        for (found, expected) in refused {
            assert_eq!(found, Err(expected));
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(name in "[ -~]{0,40}", value in proptest::collection::vec(any::<u8>(), 0..100)) {
            let found = sign_in().login(Some(IpAddr::from([127, 0, 0, 1])), [(name.as_str(), value.as_slice())].into_iter());
            prop_assert!(found.is_err());
        }
    }
}
