//! RFC 5280 section 4.2: version 3, no extension twice, none critical but those that relying parties know.

use x509_parser::certificate::TbsCertificate;

use super::{Certificate, ensure};

/// keyUsage, basicConstraints, extKeyUsage, subjectAltName.
const MAY_BE_CRITICAL: [&str; 4] = ["2.5.29.15", "2.5.29.19", "2.5.29.37", "2.5.29.17"];

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    of(&certificate.parsed)
}

pub(super) fn of(certificate: &TbsCertificate<'_>) -> Result<(), String> {
    ensure(certificate.version.0 == 2, "the version is not 3")?;
    ensure(certificate.extensions_map().is_ok(), "an extension stands there twice")?;
    let known = certificate
        .extensions()
        .iter()
        .all(|extension| !extension.critical || MAY_BE_CRITICAL.contains(&extension.oid.to_id_string().as_str()));
    ensure(known, "an unusual extension is critical")
}
