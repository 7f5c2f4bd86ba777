//! Certificate extensions of RFC 5280 section 4.2 and Microsoft's for smart card logon.

use std::collections::BTreeMap;

use der::asn1::{Ia5String, ObjectIdentifier, OctetString, OctetStringRef, Utf8StringRef};
use der::oid::AssociatedOid;
use der::oid::db::rfc5280;
use der::{Any, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName, GeneralNames, OtherName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints,
    ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};

use crate::name::NameError;
use crate::profile::{AlternativeName, KeyUsageBit, Profile};

/// otherName of a user principal name.
pub const USER_PRINCIPAL_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");
/// szOID_NTDS_CA_SECURITY_EXT and the otherName in it.
pub const SECURITY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.25.2");
pub(crate) const SECURITY_IDENTIFIER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.25.2.1");

/// Key identifier by RFC 7093 section 2 method 1: the leftmost 160 bits of the SHA-256 of the key's bits.
pub fn key_identifier(public_key_bits: &[u8]) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, public_key_bits);
    digest.as_ref().iter().take(20).copied().collect()
}

/// Whether a text is the security identifier of a domain's account (MS-DTYP section 2.4.2): `S-1-5-21-`, and then one to fourteen numbers of 32
/// bits in their one writing; 21 itself is the first of fifteen at most.
pub fn is_account_identifier(text: &str) -> bool {
    // Written again it must be the same: no sign, no zero before it.
    let is_number = |part: &str| part.parse::<u32>().is_ok_and(|number| number.to_string() == part);
    let Some(rest) = text.strip_prefix("S-1-5-21-") else { return false };
    rest.split('-').count() <= 14 && rest.split('-').all(is_number)
}

pub(crate) fn extension<T: Encode>(oid: ObjectIdentifier, critical: bool, value: &T) -> der::Result<Extension> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der()?)? })
}

pub(crate) fn subject_key_identifier(identifier: &[u8]) -> der::Result<Extension> {
    let value = SubjectKeyIdentifier(OctetString::new(identifier)?);
    extension(SubjectKeyIdentifier::OID, false, &value)
}

pub(crate) fn authority_key_identifier(identifier: &[u8]) -> der::Result<Extension> {
    let value = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(identifier)?),
        ..AuthorityKeyIdentifier::default()
    };
    extension(AuthorityKeyIdentifier::OID, false, &value)
}

pub(crate) fn authority(path_length: Option<u8>) -> der::Result<Vec<Extension>> {
    let constraints = BasicConstraints { ca: true, path_len_constraint: path_length };
    Ok(vec![
        extension(BasicConstraints::OID, true, &constraints)?,
        extension(KeyUsage::OID, true, &KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))?,
    ])
}

pub(crate) fn key_usage(bits: &[KeyUsageBit]) -> der::Result<Extension> {
    let mut usages = der::flagset::FlagSet::<KeyUsages>::default();
    for bit in bits {
        usages |= match bit {
            KeyUsageBit::DigitalSignature => KeyUsages::DigitalSignature,
            KeyUsageBit::NonRepudiation => KeyUsages::NonRepudiation,
            KeyUsageBit::KeyEncipherment => KeyUsages::KeyEncipherment,
            KeyUsageBit::KeyAgreement => KeyUsages::KeyAgreement,
        };
    }
    extension(KeyUsage::OID, true, &KeyUsage(usages))
}

/// Where the CRL and the issuer's certificate are fetched.
pub(crate) fn locations(crl: &str, issuer: &str) -> der::Result<Vec<Extension>> {
    let uri = |text: &str| Ia5String::new(text).map(GeneralName::UniformResourceIdentifier);
    let point = DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![uri(crl)?])),
        reasons: None,
        crl_issuer: None,
    };
    let issuers = AccessDescription { access_method: rfc5280::ID_AD_CA_ISSUERS, access_location: uri(issuer)? };
    Ok(vec![
        extension(CrlDistributionPoints::OID, false, &CrlDistributionPoints(vec![point]))?,
        extension(AuthorityInfoAccessSyntax::OID, false, &AuthorityInfoAccessSyntax(vec![issuers]))?,
    ])
}

/// Why the person's attributes do not make the profile's extensions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("an extension cannot be encoded")]
    Encoding,
}

impl From<der::Error> for ExtensionError {
    fn from(_: der::Error) -> Self {
        Self::Encoding
    }
}

/// The extensions that come from profile and person.
pub(crate) fn of_profile(
    profile: &Profile,
    attributes: &BTreeMap<String, String>,
) -> Result<Vec<Extension>, ExtensionError> {
    let attribute = |name: &str| {
        attributes.get(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| NameError::Missing(name.to_owned()))
    };
    let mut extensions = vec![key_usage(profile.key_usage())?];
    if !profile.extended_key_usage().is_empty() {
        let usages = profile.extended_key_usage().iter().map(|usage| usage.oid()).collect();
        extensions.push(extension(ExtendedKeyUsage::OID, false, &ExtendedKeyUsage(usages))?);
    }
    let mut names = Vec::new();
    for alternative in profile.alternative_names() {
        names.push(match alternative {
            AlternativeName::UserPrincipalName => {
                let value = Utf8StringRef::new(attribute("upn")?).map(Any::from)?;
                GeneralName::OtherName(OtherName { type_id: USER_PRINCIPAL_NAME, value })
            }
            AlternativeName::Email => {
                let mail = attribute("mail")?;
                let mail = Ia5String::new(mail).map_err(|_| NameError::Characters("mail".to_owned()))?;
                GeneralName::Rfc822Name(mail)
            }
        });
    }
    if !names.is_empty() {
        extensions.push(extension(SubjectAltName::OID, false, &SubjectAltName(names))?);
    }
    if profile.security_identifier() {
        let sid = OctetStringRef::new(attribute("object_sid")?.as_bytes()).map(Any::from)?;
        let names: GeneralNames =
            vec![GeneralName::OtherName(OtherName { type_id: SECURITY_IDENTIFIER_NAME, value: sid })];
        extensions.push(extension(SECURITY_IDENTIFIER, false, &names)?);
    }
    Ok(extensions)
}
