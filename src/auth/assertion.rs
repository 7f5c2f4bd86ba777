//! A signed assertion in the login header: a JSON Web Token (RFC 7519) that the proxy or the identity provider has signed.

use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

/// The longest token in bytes.
const LONGEST: usize = 8 * 1024;
/// How far the clocks of proxy and portal may be apart, in seconds.
const LEEWAY: i64 = 30;

/// What an assertion must be to be believed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AssertionOptions {
    /// A JSON Web Key Set (RFC 7517) with the public keys.
    pub keys_file: PathBuf,
    pub issuer: String,
    pub audience: String,
    /// The claim with the login.
    #[serde(default = "default_claim")]
    pub claim: String,
}

fn default_claim() -> String {
    "sub".to_owned()
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("{0} cannot be read")]
    File(PathBuf),
    #[error(
        "{0} is no JSON Web Key Set with public keys for ES256, ES384, RS256 or EdDSA, each with a `kid` of its own"
    )]
    Keys(PathBuf),
}

struct Key {
    id: String,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Believes what these keys have signed.
pub(super) struct Assertions {
    keys: Vec<Key>,
    issuer: String,
    audience: String,
    claim: String,
}

/// The times of a token, in seconds since 1970. A token without an end is not believed.
#[derive(Deserialize)]
struct Claims {
    exp: i64,
    nbf: Option<i64>,
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

impl Assertions {
    pub fn read(options: &AssertionOptions) -> Result<Self, KeySetError> {
        let keys = read_keys(&options.keys_file)?;
        let AssertionOptions { issuer, audience, claim, .. } = options.clone();
        Ok(Self { keys, issuer, audience, claim })
    }

    /// The login that a token asserts at `now`, in seconds since 1970; `None` for a token that is not believed, for whatever reason.
    pub fn login(&self, token: &[u8], now: i64) -> Option<String> {
        if token.len() > LONGEST {
            return None;
        }
        let head = jsonwebtoken::decode_header(token).ok()?;
        // RFC 7515 section 4.1.11: it says what must be understood, and none of that is here.
        if head.crit.is_some() {
            return None;
        }
        let key = self.keys.iter().find(|key| Some(key.id.as_str()) == head.kid.as_deref())?;
        // The algorithm is the key's: what the token says of it chooses nothing.
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Time is told, not asked for: it is compared below.
        validation.validate_exp = false;
        let token = jsonwebtoken::decode::<Claims>(token, &key.key, &validation).ok()?;
        let Claims { exp, nbf, mut others } = token.claims;
        if now >= exp.saturating_add(LEEWAY) || nbf.is_some_and(|nbf| now < nbf.saturating_sub(LEEWAY)) {
            return None;
        }
        match others.remove(&self.claim) {
            Some(Value::String(login)) => Some(login),
            _ => None,
        }
    }
}

fn read_keys(path: &Path) -> Result<Vec<Key>, KeySetError> {
    let text = std::fs::read(path).map_err(|_| KeySetError::File(path.to_owned()))?;
    let wrong = || KeySetError::Keys(path.to_owned());
    let set: JwkSet = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let mut keys: Vec<Key> = Vec::new();
    for key in &set.keys {
        let id = key.common.key_id.clone().filter(|id| keys.iter().all(|known| known.id != *id)).ok_or_else(wrong)?;
        let algorithm = match &key.algorithm {
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P384 => Algorithm::ES384,
            AlgorithmParameters::OctetKeyPair(_) => Algorithm::EdDSA,
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            _ => return Err(wrong()),
        };
        let key = DecodingKey::from_jwk(key).map_err(|_| wrong())?;
        keys.push(Key { id, algorithm, key });
    }
    if keys.is_empty() { Err(wrong()) } else { Ok(keys) }
}
