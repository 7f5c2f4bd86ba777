//! The sections `[authorities.…]`, `[profiles.…]` and `[[personalization.slots]]`, checked against each other at start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwright_pki::authority::Authority;
use sealwright_pki::profile::{Profile, ProfileError, ProfileOptions};
use sealwright_pki::signer::Signer;
use sealwright_pki::{certificate, key_file};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::hsm::{HsmKey, HsmOptions};

use super::{BlockedKeys, Issuance, Issuer, KeyAlgorithmName, Slot, SlotName};

/// An authority in the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AuthorityOptions {
    /// PEM.
    pub certificate: PathBuf,
    /// Encrypted PKCS#8, PEM; absent for a key in a token, and for a root whose key is not here.
    pub key: Option<PathBuf>,
    pub passphrase_file: Option<PathBuf>,
    /// The token with the key.
    pub hsm: Option<HsmOptions>,
    /// The list of an authority whose key is not here, DER; read whenever somebody asks for it.
    pub revocation_list: Option<PathBuf>,
}

impl AuthorityOptions {
    /// The authority's certificate, DER.
    ///
    /// # Errors
    /// [`IssuanceError`].
    pub fn certificate_der(&self, name: &str) -> Result<Vec<u8>, IssuanceError> {
        let der = certificate::from_pem("CERTIFICATE", &read(&self.certificate)?).into_iter().next();
        der.ok_or_else(|| authority_error(name, "the file holds no certificate"))
    }
}

/// What goes into a slot of every card.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SlotOptions {
    pub slot: SlotName,
    pub profile: String,
    /// The profile's first algorithm when it is not said.
    pub algorithm: Option<KeyAlgorithmName>,
}

/// Why authorities and profiles cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuanceError {
    #[error("{path} cannot be read")]
    File { path: PathBuf },
    #[error("{path}:{line}: not a SHA-256 digest in hexadecimal")]
    BlockedKeys { path: PathBuf, line: usize },
    #[error("authority `{name}`: {why}")]
    Authority { name: String, why: String },
    #[error("authority `{0}` has a certificate and a key that do not belong together")]
    Mismatch(String),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error("slot {slot}: there is no profile `{profile}`")]
    UnknownProfile { slot: String, profile: String },
    #[error("slot {slot}: the profile `{profile}` does not allow {algorithm}")]
    Algorithm { slot: String, profile: String, algorithm: String },
    #[error("the issuing authority `{0}` is not configured with a key")]
    NoIssuer(String),
}

/// Loads authorities, keys and profiles, and the slots of a personalization.
///
/// # Errors
/// The first [`IssuanceError`].
pub fn load(
    authorities: &BTreeMap<String, AuthorityOptions>,
    profiles: &BTreeMap<String, ProfileOptions>,
    slots: &[SlotOptions],
    issuing: &str,
    public_url: &str,
    blocked_keys: Option<&Path>,
) -> Result<(Issuance, Vec<Slot>), IssuanceError> {
    let mut blocked = blocked_keys.map(BlockedKeys::read).transpose()?.unwrap_or_default();
    let mut issuers = BTreeMap::new();
    let mut roots = BTreeMap::new();
    let mut lists = BTreeMap::new();
    for (name, options) in authorities {
        let der = options.certificate_der(name)?;
        let summary =
            certificate::summary(&der).ok_or_else(|| authority_error(name, "the certificate cannot be read"))?;
        blocked.add(&summary.subject_public_key_info);
        if options.key.is_none() && options.hsm.is_none() {
            roots.insert(name.clone(), der);
            lists.extend(options.revocation_list.clone().map(|path| (name.clone(), path)));
            continue;
        }
        let authority =
            Authority::new(name, &der, public_url).map_err(|error| authority_error(name, &error.to_string()))?;
        let signer = signer(name, options, authority.public_key())?;
        if signer.public_key() != authority.public_key() {
            return Err(IssuanceError::Mismatch(name.clone()));
        }
        issuers.insert(name.clone(), Issuer { authority: Arc::new(authority), signer });
    }
    if !issuers.contains_key(issuing) {
        return Err(IssuanceError::NoIssuer(issuing.to_owned()));
    }
    let profiles = profiles
        .iter()
        .map(|(name, options)| Ok((name.clone(), Profile::new(name, options.clone())?)))
        .collect::<Result<BTreeMap<_, _>, ProfileError>>()?;
    let slots = slots.iter().map(|options| slot(options, &profiles)).collect::<Result<Vec<_>, _>>()?;
    let issuance = Issuance {
        issuers: Arc::new(issuers),
        profiles: Arc::new(profiles),
        roots: Arc::new(roots),
        lists: Arc::new(lists),
        issuing: Arc::from(issuing),
        blocked: Arc::new(blocked),
    };
    Ok((issuance, slots))
}

/// Who signs for an authority.
fn signer(name: &str, options: &AuthorityOptions, public_key: &[u8]) -> Result<Arc<dyn Signer>, IssuanceError> {
    match (&options.key, &options.hsm) {
        (Some(key), None) => {
            let passphrase = options.passphrase_file.as_ref();
            let passphrase = passphrase.ok_or_else(|| authority_error(name, "`passphrase-file` is missing"))?;
            let passphrase = Zeroizing::new(read(passphrase)?);
            let key = key_file::read(&read(key)?, passphrase.trim_end_matches(['\r', '\n']).as_bytes())
                .map_err(|error| authority_error(name, &error.to_string()))?;
            Ok(Arc::new(key))
        }
        (None, Some(hsm)) => {
            let key = HsmKey::new(hsm, public_key).map_err(|error| authority_error(name, &error.to_string()))?;
            Ok(Arc::new(key))
        }
        _ => Err(authority_error(name, "its key is in a file or in a token, not in both")),
    }
}

fn slot(options: &SlotOptions, profiles: &BTreeMap<String, Profile>) -> Result<Slot, IssuanceError> {
    let name = options.slot.to_protocol().as_str().to_owned();
    let profile = profiles
        .get(&options.profile)
        .ok_or_else(|| IssuanceError::UnknownProfile { slot: name.clone(), profile: options.profile.clone() })?;
    let allowed = profile.key_algorithms();
    let all = [KeyAlgorithmName::Rsa2048, KeyAlgorithmName::Rsa3072, KeyAlgorithmName::P256, KeyAlgorithmName::P384];
    let first = || all.into_iter().find(|known| allowed.first().is_some_and(|first| first.as_str() == known.as_str()));
    let algorithm = options
        .algorithm
        .or_else(first)
        .filter(|wanted| allowed.iter().any(|allowed| allowed.as_str() == wanted.as_str()));
    let algorithm = algorithm.ok_or_else(|| IssuanceError::Algorithm {
        slot: name,
        profile: options.profile.clone(),
        algorithm: options.algorithm.map_or_else(String::new, |algorithm| algorithm.as_str().to_owned()),
    })?;
    Ok(Slot { name: options.slot, title: profile.title().to_owned(), algorithm, profile: options.profile.clone() })
}

fn read(path: &Path) -> Result<String, IssuanceError> {
    std::fs::read_to_string(path).map_err(|_| IssuanceError::File { path: path.to_owned() })
}

fn authority_error(name: &str, why: &str) -> IssuanceError {
    IssuanceError::Authority { name: name.to_owned(), why: why.to_owned() }
}
