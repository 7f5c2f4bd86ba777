//! The section `[server]`: addresses to listen at, and the URLs by which browsers, agents and the
//! public reach them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::Deserialize;

use super::error::ConfigurationError;

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
    /// `/health/…` and `/metrics`, for monitoring; absent when it is not to be served.
    pub operations: Option<SocketAddr>,
    /// The URL of the pages, without a slash at the end.
    pub pages_url: String,
    /// The URL of the agents' channel, without a slash at the end.
    pub agent_url: String,
    /// The URL in certificates, for lists and authorities: plain http, without a slash at the end.
    pub public_url: String,
    /// The command that starts the agent in a terminal, as the page shows it.
    #[serde(default = "default_agent_command")]
    pub agent_command: String,
}

fn default_agent_command() -> String {
    "sealwright-agent".to_owned()
}

impl ServerOptions {
    /// # Errors
    /// [`ConfigurationError::Addresses`], [`ConfigurationError::Url`],
    /// [`ConfigurationError::PublicUrl`].
    pub(super) fn check(&self) -> Result<(), ConfigurationError> {
        let addresses = [Some(self.pages), Some(self.agent), Some(self.public), self.operations];
        let distinct: BTreeSet<SocketAddr> = addresses.into_iter().flatten().collect();
        if distinct.len() < addresses.into_iter().flatten().count() {
            return Err(ConfigurationError::Addresses);
        }

        let urls = [("pages-url", &self.pages_url), ("agent-url", &self.agent_url), ("public-url", &self.public_url)];
        for (name, url) in urls {
            let valid = (url.starts_with("http://") || url.starts_with("https://")) && !url.ends_with('/');
            if !valid {
                return Err(ConfigurationError::Url(name));
            }
        }

        // RFC 5280 section 8. A rule of what is issued finds it too, but when the first person's
        // card is written.
        if !self.public_url.starts_with("http://") {
            return Err(ConfigurationError::PublicUrl);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ServerOptions {
        let text = "pages = '127.0.0.1:1'\nagent = '127.0.0.1:2'\npublic = '127.0.0.1:3'\n\
                    pages-url = 'https://pages'\nagent-url = 'https://agents'\npublic-url = 'http://pki'";
        toml::from_str(text).expect("a section")
    }

    #[test]
    fn operations_are_not_served_and_the_agent_has_its_own_name_unless_it_is_said() {
        let options = options();
        assert!(options.check().is_ok());
        assert_eq!((options.operations, options.agent_command.as_str()), (None, "sealwright-agent"));
    }

    #[test]
    fn every_surface_has_an_address_of_its_own() {
        let pages = options().pages;
        let twice = ServerOptions { operations: Some(pages), ..options() };
        assert!(matches!(twice.check(), Err(ConfigurationError::Addresses)));
        let twice = ServerOptions { agent: pages, ..options() };
        assert!(matches!(twice.check(), Err(ConfigurationError::Addresses)));
    }

    #[test]
    fn urls_have_a_scheme_and_no_slash_at_the_end() {
        for url in ["pages", "ftp://pages", "https://pages/"] {
            let wrong = ServerOptions { pages_url: url.to_owned(), ..options() };
            assert!(matches!(wrong.check(), Err(ConfigurationError::Url("pages-url"))), "{url}");
        }
        let wrong = ServerOptions { public_url: "https://pki".to_owned(), ..options() };
        assert!(matches!(wrong.check(), Err(ConfigurationError::PublicUrl)));
    }
}
