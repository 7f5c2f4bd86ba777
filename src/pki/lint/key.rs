//! The key is of a kind that the profile allows, is not weak, and is not the authority's own.

use super::{Certificate, ensure};
use crate::key;

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let info = certificate.parsed.public_key().raw;
    let algorithm = key::examine(info).map_err(|error| error.to_string())?;
    ensure(certificate.profile.key_algorithms().contains(&algorithm), "the profile does not allow this kind of key")?;
    ensure(info != certificate.authority.public_key(), "the key is the authority's own")
}
