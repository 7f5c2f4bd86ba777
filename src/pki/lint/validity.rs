//! RFC 5280 section 4.1.2.5: in order, no longer than the profile says, inside the issuer's own validity.

use super::{Certificate, ensure};

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let validity = certificate.parsed.validity();
    let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    ensure(from < to, "the validity ends before it begins")?;
    ensure(to - from <= certificate.profile.validity().whole_seconds(), "the validity is longer than the profile's")?;
    let (issuer_from, issuer_to) = certificate.authority.validity();
    let inside = from >= issuer_from.unix_timestamp() && to <= issuer_to.unix_timestamp();
    ensure(inside, "the validity is not inside the issuer's")
}
