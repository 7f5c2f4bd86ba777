//! A certification authority: prepare, admit, sign.

use std::collections::BTreeMap;

use der::asn1::BitString;
use der::{Any, Decode, Encode};
use time::{Duration, OffsetDateTime};
use x509_cert::Version;
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoRef;
use x509_cert::time::Validity;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use crate::encoding::{Parsed, Signed, ToBeSigned, moment};
use crate::extension::{self, ExtensionError, key_identifier};
use crate::key;
use crate::lint::{self, Finding, Subject};
use crate::name::NameError;
use crate::profile::Profile;
use crate::request::Request;
use crate::signer::{SignError, SignatureAlgorithm, Signer, sign_verified};

/// How far notBefore lies before the moment of issuance, for clients whose clocks are late.
pub const BACKDATE: Duration = Duration::minutes(5);

/// An issuing authority: its certificate and where its lists are published.
#[derive(Clone, Debug)]
pub struct Authority {
    name: String,
    certificate: Vec<u8>,
    subject: Vec<u8>,
    key_identifier: Vec<u8>,
    public_key: Vec<u8>,
    algorithm: Option<SignatureAlgorithm>,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    crl_url: String,
    issuer_url: String,
}

/// Why an authority cannot be used or a certificate cannot be prepared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    #[error("the authority's certificate cannot be read or is none of an authority")]
    Certificate,
    #[error("the authority's certificate does not let it sign certificates and revocation lists")]
    Usage,
    #[error("the key does not belong to the authority's certificate")]
    Key,
    #[error("the profile `{0}` does not allow this kind of key")]
    KeyAlgorithm(String),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    #[error("the authority's certificate is not valid long enough")]
    Validity,
    #[error("the certificate cannot be encoded")]
    Encoding,
    #[error("the authority's certificate breaks the rule `{}`: {}", .0.rule, .0.message)]
    Found(Finding),
}

impl From<der::Error> for AuthorityError {
    fn from(_: der::Error) -> Self {
        Self::Encoding
    }
}

/// To-be-signed bytes that may be signed once: linted, and bound to the authority that admitted them.
#[derive(Debug)]
pub struct Ticket {
    to_be_signed: Vec<u8>,
    authority_key: Vec<u8>,
}

impl Ticket {
    /// Signs what was linted, and consumes the ticket.
    ///
    /// # Errors
    /// [`SignError::Refused`] for the key of another authority, [`SignError::Wrong`] for a signature that is not its key's, else what the signer
    /// says.
    pub fn sign(self, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
        if signer.public_key() != self.authority_key {
            return Err(SignError::Refused);
        }
        sign(&self.to_be_signed, signer)
    }
}

/// What is asked for: from the directory and the profile, with serial number and time from the caller.
#[derive(Debug)]
pub struct Draft<'a> {
    pub profile: &'a Profile,
    pub attributes: &'a BTreeMap<String, String>,
    pub request: &'a Request,
    /// 128 random bits; made positive and non-zero here.
    pub serial: [u8; 16],
    pub now: OffsetDateTime,
}

/// A certificate that is ready to be linted and signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedCertificate {
    /// DER.
    pub to_be_signed: Vec<u8>,
    /// The serial number, big-endian; positive, and its first octet is not zero.
    pub serial: [u8; 16],
    /// The certificate has it, and `not_after`, in whole seconds.
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
}

impl Authority {
    /// Reads an authority's certificate (DER). `base_url` is where `/pki/…` is served over plain http.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`], [`AuthorityError::Usage`].
    pub fn new(name: &str, certificate: &[u8], base_url: &str) -> Result<Self, AuthorityError> {
        let unreadable = AuthorityError::Certificate;
        let (rest, parsed) =
            x509_parser::certificate::X509Certificate::from_der(certificate).map_err(|_| unreadable.clone())?;
        let constraints = parsed.basic_constraints().ok().flatten();
        if !rest.is_empty() || !constraints.is_some_and(|constraints| constraints.value.ca) {
            return Err(unreadable);
        }
        // RFC 5280 section 4.2.1.3: else nobody takes what it signs, which shows when cards are out. Without the extension it may do both.
        let usage = parsed.key_usage().map_err(|_| unreadable)?.map(|usage| usage.value);
        if usage.is_some_and(|usage| !usage.key_cert_sign() || !usage.crl_sign()) {
            return Err(AuthorityError::Usage);
        }
        let public_key = parsed.public_key().raw.to_vec();
        let bits = SubjectPublicKeyInfoRef::from_der(&public_key)?;
        let time = |at: i64| OffsetDateTime::from_unix_timestamp(at).map_err(|_| AuthorityError::Certificate);
        let base = base_url.trim_end_matches('/');
        // RFC 5280 section 4.2.1.1: the issuer's key is named as its own certificate names it, by whatever method (section 4.2.1.2).
        let named = parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
            _ => None,
        });
        Ok(Self {
            name: name.to_owned(),
            certificate: certificate.to_vec(),
            subject: parsed.subject().as_raw().to_vec(),
            key_identifier: named.unwrap_or_else(|| key_identifier(bits.subject_public_key.raw_bytes())),
            algorithm: key::examine(&public_key).ok().map(SignatureAlgorithm::for_key),
            public_key,
            not_before: time(parsed.validity().not_before.timestamp())?,
            not_after: time(parsed.validity().not_after.timestamp())?,
            crl_url: format!("{base}/pki/crl/{name}.crl"),
            issuer_url: format!("{base}/pki/ca/{name}.cer"),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// SubjectPublicKeyInfo, DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// What its key signs by; none for a key that does not sign here, such as that of a root which is only published.
    pub(crate) fn algorithm(&self) -> Option<SignatureAlgorithm> {
        self.algorithm
    }

    pub(crate) fn subject(&self) -> &[u8] {
        &self.subject
    }

    pub(crate) fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }

    /// Makes the to-be-signed bytes.
    ///
    /// # Errors
    /// [`AuthorityError`] when the profile, the person or the authority do not allow it.
    pub fn prepare(
        &self,
        draft: &Draft<'_>,
        algorithm: SignatureAlgorithm,
    ) -> Result<UnsignedCertificate, AuthorityError> {
        let profile = draft.profile;
        if !profile.key_algorithms().contains(&draft.request.algorithm()) {
            return Err(AuthorityError::KeyAlgorithm(profile.name().to_owned()));
        }
        let subject = profile.subject().fill(draft.attributes)?;
        let mut extensions = leaf_extensions(self, draft.request.subject_public_key_info())?;
        extensions.extend(extension::of_profile(profile, draft.attributes)?);
        let not_before = (draft.now - BACKDATE).max(self.not_before);
        let not_after = not_before + profile.validity();
        if not_before > draft.now || not_after > self.not_after {
            return Err(AuthorityError::Validity);
        }
        let serial = positive(draft.serial);
        let parts = Parts {
            serial,
            issuer: &self.subject,
            subject: &subject,
            subject_public_key_info: draft.request.subject_public_key_info(),
            not_before,
            not_after,
            extensions,
        };
        Ok(UnsignedCertificate { to_be_signed: parts.encode(algorithm)?, serial, not_before, not_after })
    }

    /// The terms of a certificate before it has a key: issuer, subject, extensions and length of validity; SHA-256.
    ///
    /// # Errors
    /// [`AuthorityError`] when the profile or the person do not allow it.
    pub fn terms(&self, profile: &Profile, attributes: &BTreeMap<String, String>) -> Result<Vec<u8>, AuthorityError> {
        let subject = profile.subject().fill(attributes)?;
        let mut extensions = extension::locations(&self.crl_url, &self.issuer_url)?;
        extensions.extend(extension::of_profile(profile, attributes)?);
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for part in [&self.subject, &subject, &extensions.to_der()?] {
            context.update(part);
        }
        context.update(&profile.validity().whole_seconds().to_be_bytes());
        Ok(context.finish().as_ref().to_vec())
    }

    /// Lints to-be-signed bytes; only what has no error gets a ticket.
    ///
    /// # Errors
    /// Every [`Finding`].
    pub fn admit(&self, to_be_signed: &[u8], profile: &Profile) -> Result<Ticket, Vec<Finding>> {
        let subject = Subject { authority: self, profile, to_be_signed };
        let findings = lint::lint(&subject);
        if findings.is_empty() {
            Ok(Ticket { to_be_signed: to_be_signed.to_vec(), authority_key: self.public_key.clone() })
        } else {
            Err(findings)
        }
    }

    /// From when and until when its own certificate is valid: nothing that it issues is so before or after.
    pub fn validity(&self) -> (OffsetDateTime, OffsetDateTime) {
        (self.not_before, self.not_after)
    }
}

/// What two preparations of the same certificate have in common: everything but serial number, signature algorithm and the moment. How long it is
/// valid belongs to it.
///
/// # Errors
/// [`AuthorityError::Encoding`] when the bytes are no to-be-signed certificate.
pub fn digest(to_be_signed: &[u8]) -> Result<Vec<u8>, AuthorityError> {
    let parsed = ToBeSigned::from_der(to_be_signed)?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in [parsed.issuer.to_der()?, parsed.subject.to_der()?, parsed.subject_public_key_info.to_der()?] {
        context.update(&part);
    }
    context.update(&parsed.extensions.to_der()?);
    let [from, to] = [parsed.validity.not_before, parsed.validity.not_after].map(|time| time.to_unix_duration());
    context.update(&to.saturating_sub(from).as_secs().to_be_bytes());
    Ok(context.finish().as_ref().to_vec())
}

fn leaf_extensions(authority: &Authority, subject_public_key_info: &[u8]) -> Result<Vec<Extension>, AuthorityError> {
    let info = SubjectPublicKeyInfoRef::from_der(subject_public_key_info)?;
    let mut extensions = vec![
        extension::authority_key_identifier(&authority.key_identifier)?,
        extension::subject_key_identifier(&key_identifier(info.subject_public_key.raw_bytes()))?,
    ];
    extensions.extend(extension::locations(&authority.crl_url, &authority.issuer_url)?);
    Ok(extensions)
}

/// Makes a random serial number positive and of full length (RFC 5280 section 4.1.2.2).
fn positive(mut serial: [u8; 16]) -> [u8; 16] {
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    serial
}

struct Parts<'a> {
    /// Positive.
    serial: [u8; 16],
    issuer: &'a [u8],
    subject: &'a [u8],
    subject_public_key_info: &'a [u8],
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    extensions: Vec<Extension>,
}

impl Parts<'_> {
    fn encode(self, algorithm: SignatureAlgorithm) -> Result<Vec<u8>, AuthorityError> {
        let to_be_signed = ToBeSigned {
            version: Version::V3,
            serial_number: SerialNumber::new(&self.serial)?,
            signature: algorithm.identifier(),
            issuer: Any::from_der(self.issuer)?,
            validity: Validity::new(moment(self.not_before)?, moment(self.not_after)?),
            subject: Any::from_der(self.subject)?,
            subject_public_key_info: Any::from_der(self.subject_public_key_info)?,
            extensions: Some(self.extensions),
        };
        let der = to_be_signed.to_der()?;
        Parsed::from_der(&der)?;
        Ok(der)
    }
}

pub(crate) fn sign(to_be_signed: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
    let signature = sign_verified(to_be_signed, signer)?;
    let signed = Signed {
        to_be_signed: Any::from_der(to_be_signed).map_err(|_| SignError::Refused)?,
        algorithm: signer.algorithm().identifier(),
        signature: BitString::from_bytes(&signature).map_err(|_| SignError::Refused)?,
    };
    signed.to_der().map_err(|_| SignError::Refused)
}

/// What a new authority's certificate says.
#[derive(Debug)]
pub struct NewAuthority<'a> {
    /// The subject's DER.
    pub subject: &'a [u8],
    pub serial: [u8; 16],
    pub now: OffsetDateTime,
    pub validity: Duration,
}

/// Makes the self-signed certificate of a root.
///
/// # Errors
/// [`AuthorityError`].
pub fn new_root(new: &NewAuthority<'_>, signer: &dyn Signer) -> Result<Vec<u8>, AuthorityError> {
    let info = SubjectPublicKeyInfoRef::from_der(signer.public_key())?;
    let identifier = key_identifier(info.subject_public_key.raw_bytes());
    let mut extensions = extension::authority(None)?;
    extensions.push(extension::subject_key_identifier(&identifier)?);
    let parts = Parts {
        serial: positive(new.serial),
        issuer: new.subject,
        subject: new.subject,
        subject_public_key_info: signer.public_key(),
        not_before: new.now - BACKDATE,
        not_after: new.now - BACKDATE + new.validity,
        extensions,
    };
    sign_own(None, &parts.encode(signer.algorithm())?, signer)
}

/// Makes the certificate of an issuing authority below `parent`.
///
/// # Errors
/// [`AuthorityError`].
pub fn new_issuing(
    parent: &Authority,
    new: &NewAuthority<'_>,
    subject_public_key_info: &[u8],
    signer: &dyn Signer,
) -> Result<Vec<u8>, AuthorityError> {
    if signer.public_key() != parent.public_key {
        return Err(AuthorityError::Key);
    }
    let mut extensions = leaf_extensions(parent, subject_public_key_info)?;
    extensions.extend(extension::authority(Some(0))?);
    let not_after = new.now - BACKDATE + new.validity;
    if not_after > parent.not_after {
        return Err(AuthorityError::Validity);
    }
    let parts = Parts {
        serial: positive(new.serial),
        issuer: &parent.subject,
        subject: new.subject,
        subject_public_key_info,
        not_before: (new.now - BACKDATE).max(parent.not_before),
        not_after,
        extensions,
    };
    sign_own(Some(parent), &parts.encode(signer.algorithm())?, signer)
}

/// Lints and signs an authority's certificate, for the one above it or for itself.
fn sign_own(above: Option<&Authority>, to_be_signed: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, AuthorityError> {
    match lint::authority::lint(above, signer, to_be_signed).into_iter().next() {
        Some(finding) => Err(AuthorityError::Found(finding)),
        None => sign(to_be_signed, signer).map_err(|_| AuthorityError::Key),
    }
}
