//! RFC 5280 section 4.1.2.6 and appendix A: issuer and subject are named; the issuer byte for byte as in its certificate; at most 64
//! characters of common name.

use super::{Certificate, ensure};

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let issuer = certificate.parsed.issuer();
    ensure(issuer.as_raw() == certificate.authority.subject(), "the issuer is not named as in its certificate")?;
    let subject = certificate.parsed.subject();
    ensure(subject.iter().next().is_some(), "the subject is empty")?;
    ensure(subject.as_raw() != issuer.as_raw(), "the subject is the issuer")?;
    let short =
        subject.iter_common_name().all(|name| name.as_str().is_ok_and(|name| (1..=64).contains(&name.chars().count())));
    ensure(short, "the common name is empty or longer than 64 characters")
}
