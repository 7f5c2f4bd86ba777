//! RFC 5280 section 4.1.2.3: what the bytes name is what the authority's key signs by; SHA-1 and MD5 are no such thing.

use super::{Certificate, ensure};

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let named = certificate.parsed.signature.algorithm.to_id_string();
    let own = certificate.authority.algorithm().map(|algorithm| algorithm.identifier().oid.to_string());
    ensure(own == Some(named), "the signature algorithm is not the one of the authority's key")
}
