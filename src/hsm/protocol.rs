//! What portal and worker say to each other, a line of JSON each. Binary values are base64.

use sealwright_pki::key::KeyAlgorithm;
use sealwright_pki::signer::SignatureAlgorithm;
use serde::{Deserialize, Serialize};

use super::HsmOptions;

/// The longest line in bytes.
pub const LONGEST: usize = 32 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// The first line: loads the module, finds the token, and says whether a try with the PIN may be spent.
    Find {
        options: HsmOptions,
        /// The state of the PIN file that the token has refused.
        refused_pin: Option<String>,
    },
    /// The second one: signs in. With a public key, the private key of it must be there.
    SignIn {
        public_key: Option<String>,
    },
    Sign {
        message: String,
        algorithm: Algorithm,
    },
    Generate {
        algorithm: KeyAlgorithm,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    Found {
        /// The state of the PIN file.
        stamp: String,
    },
    Opened,
    Signed {
        signature: String,
    },
    Generated {
        public_key: String,
    },
    /// It may go later; the worker ends.
    Offline {
        why: String,
    },
    /// It will not go before somebody mends something.
    Refused {
        why: String,
    },
    PinRefused,
    /// The token has not said whether the PIN is right; the worker ends.
    PinUnanswered {
        why: String,
    },
}

/// A signature's algorithm, as lines say it.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    EcdsaSha256,
    EcdsaSha384,
    RsaSha256,
}

impl From<SignatureAlgorithm> for Algorithm {
    fn from(algorithm: SignatureAlgorithm) -> Self {
        match algorithm {
            SignatureAlgorithm::EcdsaSha256 => Self::EcdsaSha256,
            SignatureAlgorithm::EcdsaSha384 => Self::EcdsaSha384,
            SignatureAlgorithm::RsaSha256 => Self::RsaSha256,
        }
    }
}
