//! DER structures whose counterparts in `x509-cert` are closed or would re-encode a name.

use der::asn1::BitString;
use der::{Any, Sequence};
use time::OffsetDateTime;
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::{Time, Validity};
use x509_cert::{TbsCertificate, Version};

/// RFC 5280 section 4.1 `TBSCertificate`, names and key taken over byte for byte.
#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
pub(crate) struct ToBeSigned {
    #[asn1(context_specific = "0", default = "Default::default")]
    pub version: Version,
    pub serial_number: SerialNumber,
    pub signature: AlgorithmIdentifierOwned,
    pub issuer: Any,
    pub validity: Validity,
    pub subject: Any,
    pub subject_public_key_info: Any,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    pub extensions: Option<Vec<Extension>>,
}

/// RFC 5280 section 4.1 `Certificate` and section 5.1 `CertificateList`: signed bytes and their signature.
#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
pub(crate) struct Signed {
    pub to_be_signed: Any,
    pub algorithm: AlgorithmIdentifierOwned,
    pub signature: BitString,
}

/// RFC 5280 section 5.1 `TBSCertList`, version 2.
#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
pub(crate) struct ToBeSignedList {
    pub version: Version,
    pub signature: AlgorithmIdentifierOwned,
    pub issuer: Any,
    pub this_update: Time,
    pub next_update: Time,
    #[asn1(optional = "true")]
    pub revoked_certificates: Option<Vec<RevokedEntry>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub extensions: Option<Vec<Extension>>,
}

#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
pub(crate) struct RevokedEntry {
    pub serial_number: SerialNumber,
    pub revocation_date: Time,
    #[asn1(optional = "true")]
    pub extensions: Option<Vec<Extension>>,
}

/// Whole seconds; UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5).
pub(crate) fn moment(at: OffsetDateTime) -> der::Result<Time> {
    let seconds = u64::try_from(at.unix_timestamp()).map_err(|_| der::ErrorKind::DateTime)?;
    der::DateTime::from_unix_duration(std::time::Duration::from_secs(seconds)).map(Time::from)
}

/// The type that parses what [`ToBeSigned`] wrote.
pub(crate) type Parsed = TbsCertificate;
