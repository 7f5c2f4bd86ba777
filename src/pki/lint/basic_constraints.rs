//! RFC 5280 section 4.2.1.9: a person's certificate is none of an authority.

use super::{Certificate, ensure};

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let constraints = certificate.parsed.basic_constraints().map_err(|_| "the basic constraints cannot be read")?;
    ensure(constraints.is_none_or(|constraints| !constraints.value.ca), "the certificate says it is an authority's")
}
