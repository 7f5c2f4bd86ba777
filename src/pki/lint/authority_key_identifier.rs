//! RFC 5280 sections 4.2.1.1 and 4.2.1.2: the issuer's key is named by the identifier in the issuer's certificate; the subject's own is there.

use x509_parser::extensions::ParsedExtension;

use super::{Certificate, ensure};

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let extensions = certificate.parsed.extensions();
    let authority = extensions.iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    });
    ensure(
        authority == Some(certificate.authority.key_identifier()),
        "the authority key identifier is not the issuer's",
    )?;
    let own = extensions
        .iter()
        .any(|extension| matches!(extension.parsed_extension(), ParsedExtension::SubjectKeyIdentifier(_)));
    ensure(own, "the subject key identifier is missing")
}
