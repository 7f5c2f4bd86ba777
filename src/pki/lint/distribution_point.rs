//! RFC 5280 section 4.2.1.13, RFC 5280 section 8: a revocation list over plain http, so that fetching it needs no certificate.

use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};

use super::{Certificate, ensure};

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    of(&certificate.parsed)
}

pub(super) fn of(certificate: &TbsCertificate<'_>) -> Result<(), String> {
    let points = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::CRLDistributionPoints(points) => Some(points),
        _ => None,
    });
    let points = points.ok_or("the distribution point is missing")?;
    let plain = points.points.iter().all(|point| match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => names
            .iter()
            .all(|name| matches!(name, GeneralName::URI(uri) if uri.starts_with("http://") && uri.ends_with(".crl"))),
        _ => false,
    });
    ensure(plain && !points.points.is_empty(), "the distribution point is no http address of a .crl")
}
