//! The section `[sign-in]`: the proxy that says who has signed in, and how long sessions and roles
//! hold.

use std::net::IpAddr;

use serde::Deserialize;

use crate::auth::header::{HeaderSignIn, ProofError, ProofOptions};

/// The header with the login, and the proxy that it is believed from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SignInOptions {
    /// The header with the login, or with an assertion of it.
    #[serde(default = "default_header")]
    pub header: String,
    /// Addresses of the proxy.
    pub peers: Vec<IpAddr>,
    /// The header in which the proxy says where a request comes from, for the audit; of a list its
    /// last address. Without it the audit has the proxy's.
    pub address_header: Option<String>,
    /// The proof, beside the address, that it is the proxy.
    pub proof: ProofOptions,
    /// Sessions end after so many minutes without a request.
    #[serde(default = "default_idle")]
    pub idle_minutes: u32,
    /// A role is asked for again after so many minutes.
    #[serde(default = "default_role_check")]
    pub role_check_minutes: u32,
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

impl SignInOptions {
    /// Reads the secret or the keys of the proof.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn header_sign_in(&self) -> Result<HeaderSignIn, ProofError> {
        HeaderSignIn::new(&self.header, &self.proof, self.peers.clone())?
            .with_address_header(self.address_header.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: &str = "peers = ['127.0.0.1']\nproof = { by = 'secret', file = '/nowhere' }\n";

    #[test]
    fn the_header_and_both_times_have_defaults() {
        let options: SignInOptions = toml::from_str(SECTION).expect("a section");
        assert_eq!(options.header, "X-Remote-User");
        assert_eq!((options.idle_minutes, options.role_check_minutes), (60, 5));
        assert!(options.address_header.is_none());
    }

    #[test]
    fn a_secret_that_cannot_be_read_and_an_unknown_key_are_refused() {
        let options: SignInOptions = toml::from_str(SECTION).expect("a section");
        assert!(matches!(options.header_sign_in(), Err(ProofError::File(_))));
        assert!(toml::from_str::<SignInOptions>(&format!("{SECTION}idle = 5")).is_err());
    }
}
