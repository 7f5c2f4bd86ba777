//! RFC 5280 section 4.2.1.3, RFC 8813: critical, what the profile says and nothing beside it, and fit for the kind of key.

use der::Decode;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_parser::oid_registry;

use super::{Certificate, ensure};
use crate::profile::KeyUsageBit;

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let usage = certificate.parsed.get_extension_unique(&oid_registry::OID_X509_EXT_KEY_USAGE);
    let usage = usage.map_err(|_| "the key usage cannot be read")?.ok_or("the key usage is missing")?;
    ensure(usage.critical, "the key usage is not critical")?;
    let asked = certificate.profile.key_usage();
    // A profile's bits have room in one octet, and a list of bits has one writing (X.690 section 11.2): so every other bit is found, an
    // authority's, decipherOnly in the second octet, and those that have no name.
    let bits = asked.iter().fold(0_u8, |bits, usage| bits | bit(*usage));
    let as_asked =
        matches!(usage.value, [3, 2, unused, found] if *found == bits && u32::from(*unused) == bits.trailing_zeros());
    ensure(as_asked, "the key usage is not the profile's")?;
    // RFC 8813 section 3 and RFC 4055 section 1.2: elliptic keys agree and never encipher, RSA keys the other way round.
    let is_rsa = certificate.parsed.subject_pki.algorithm.algorithm == oid_registry::OID_PKCS1_RSAENCRYPTION;
    ensure(is_rsa || !asked.contains(&KeyUsageBit::KeyEncipherment), "an elliptic key enciphers nothing")?;
    ensure(!is_rsa || !asked.contains(&KeyUsageBit::KeyAgreement), "an RSA key agrees on nothing")?;
    let extended = certificate.parsed.get_extension_unique(&oid_registry::OID_X509_EXT_EXTENDED_KEY_USAGE);
    let extended = extended.map_err(|_| "the extended key usage cannot be read")?;
    let found = extended.map(|extension| ExtendedKeyUsage::from_der(extension.value)).transpose();
    let found = found.map_err(|_| "the extended key usage cannot be read")?.map(|usage| usage.0).unwrap_or_default();
    let wanted = certificate.profile.extended_key_usage().iter().map(|word| word.oid());
    ensure(found.into_iter().eq(wanted), "the extended key usage is not the profile's")
}

/// A usage in the first octet, where bit 0 is the highest.
fn bit(usage: KeyUsageBit) -> u8 {
    match usage {
        KeyUsageBit::DigitalSignature => 0x80,
        KeyUsageBit::NonRepudiation => 0x40,
        KeyUsageBit::KeyEncipherment => 0x20,
        KeyUsageBit::KeyAgreement => 0x08,
    }
}
