//! RFC 5280 section 4.1.2.2: positive, at most 20 octets; at least 64 random bits, so at least 8 octets here.

use super::{Certificate, ensure};

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let serial = certificate.parsed.raw_serial();
    let positive = serial.first().is_some_and(|first| first & 0x80 == 0) && serial.iter().any(|&byte| byte != 0);
    ensure(positive, "the serial number is not positive")?;
    ensure((8..=20).contains(&serial.len()), "the serial number is shorter than 8 or longer than 20 octets")
}
