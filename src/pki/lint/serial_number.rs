//! RFC 5280 section 4.1.2.2: positive, at most 20 octets; at least 64 random bits, so at least 8 octets here.

use x509_parser::certificate::TbsCertificate;

use super::{Certificate, ensure, is_serial};

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    of(&certificate.parsed)
}

pub(super) fn of(certificate: &TbsCertificate<'_>) -> Result<(), String> {
    let serial = certificate.raw_serial();
    ensure(is_serial(serial), "the serial number is not positive, or longer than 20 octets")?;
    ensure(serial.len() >= 8, "the serial number is shorter than 8 octets")
}
