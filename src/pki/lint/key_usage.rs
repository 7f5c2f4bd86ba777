//! RFC 5280 section 4.2.1.3, RFC 8813: critical, what the profile says, never an authority's, and fit for the kind of key.

use der::Decode;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_parser::oid_registry;

use super::{Certificate, ensure};
use crate::profile::KeyUsageBit;

pub(super) fn check(certificate: &Certificate<'_>) -> Result<(), String> {
    let usage = certificate.parsed.key_usage().map_err(|_| "the key usage cannot be read")?;
    let usage = usage.ok_or("the key usage is missing")?;
    ensure(usage.critical, "the key usage is not critical")?;
    let value = usage.value;
    ensure(!value.key_cert_sign() && !value.crl_sign(), "the key usage is an authority's")?;
    let asked = |bit| certificate.profile.key_usage().contains(&bit);
    let as_asked = value.digital_signature() == asked(KeyUsageBit::DigitalSignature)
        && value.non_repudiation() == asked(KeyUsageBit::NonRepudiation)
        && value.key_encipherment() == asked(KeyUsageBit::KeyEncipherment)
        && value.key_agreement() == asked(KeyUsageBit::KeyAgreement);
    ensure(as_asked, "the key usage is not the profile's")?;
    // RFC 8813 section 3 and RFC 4055 section 1.2: elliptic keys agree and never encipher, RSA keys the other way round.
    let is_rsa = certificate.parsed.subject_pki.algorithm.algorithm == oid_registry::OID_PKCS1_RSAENCRYPTION;
    ensure(is_rsa || !value.key_encipherment(), "an elliptic key enciphers nothing")?;
    ensure(!is_rsa || !value.key_agreement(), "an RSA key agrees on nothing")?;
    let extended = certificate.parsed.get_extension_unique(&oid_registry::OID_X509_EXT_EXTENDED_KEY_USAGE);
    let extended = extended.map_err(|_| "the extended key usage cannot be read")?;
    let found = extended.map(|extension| ExtendedKeyUsage::from_der(extension.value)).transpose();
    let found = found.map_err(|_| "the extended key usage cannot be read")?.map(|usage| usage.0).unwrap_or_default();
    let wanted = certificate.profile.extended_key_usage().iter().map(|word| word.oid());
    ensure(found.into_iter().eq(wanted), "the extended key usage is not the profile's")
}
