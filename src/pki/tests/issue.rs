use std::collections::BTreeMap;

use der::{Decode as _, Encode as _};
use time::Duration;
use x509_cert::time::Validity;
use x509_parser::prelude::FromDer;

use super::fixture::{NOW, fixture, name, request, request_der};
use crate::authority::{Authority, AuthorityError, BACKDATE, Draft, NewAuthority, digest, new_root};
use crate::certificate;
use crate::encoding::{ToBeSigned, moment};
use crate::key::{KeyAlgorithm, WeakKey};
use crate::key_file;
use crate::name::{NameError, NameTemplate};
use crate::profile::Profile;
use crate::request::{Request, RequestError};
use crate::revocation::{self, ListError, RevocationReason, Revoked};
use crate::signer::{SignError, SignatureAlgorithm, Signer, SoftwareKey};

#[test]
fn a_person_gets_what_profile_and_directory_say() {
    let fixture = fixture();
    let draft = Draft {
        profile: &fixture.authentication,
        attributes: &fixture.person,
        request: &request(),
        serial: [0xff; 16],
        now: NOW,
    };
    let prepared = fixture.authority.prepare(&draft, fixture.key.algorithm()).expect("prepared");
    let ticket = fixture.authority.admit(&prepared.to_be_signed, &fixture.authentication).expect("admitted");
    let der = ticket.sign(&fixture.key).expect("signed");
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(&der).expect("a certificate");
    let (_, issuer) =
        x509_parser::certificate::X509Certificate::from_der(fixture.authority.certificate()).expect("the issuer");
    parsed.verify_signature(Some(issuer.public_key())).expect("a good signature");
    let (_, root) = x509_parser::certificate::X509Certificate::from_der(&fixture.root).expect("the root");
    issuer.verify_signature(Some(root.public_key())).expect("a good signature");
    let summary = certificate::summary(&der).expect("a summary");
    assert_eq!(summary.serial, format!("7f{}", "ff".repeat(15)));
    assert_eq!(prepared.serial.as_slice(), parsed.raw_serial());
    let validity = [parsed.validity().not_before, parsed.validity().not_after].map(|time| time.to_datetime());
    assert_eq!([prepared.not_before, prepared.not_after], validity);
    assert_eq!(summary.subject, "UID=alice+CN=Alice Ångström,OU=Smart cards,OU=People,DC=example,DC=test");
    assert_eq!(certificate::from_pem("CERTIFICATE", &certificate::pem("CERTIFICATE", &der)), vec![der]);
}

#[test]
fn a_name_keeps_repeats_and_order_byte_for_byte() {
    let fixture = fixture();
    let template = NameTemplate::parse(&["DC=test", "DC=example", "OU=A", "OU=B", "CN={name}"]).expect("a template");
    let der = template.fill(&fixture.person).expect("a name");
    let (_, name) = x509_parser::x509::X509Name::from_der(&der).expect("a name");
    assert_eq!(name.to_string(), "DC=test, DC=example, OU=A, OU=B, CN=Alice Ångström");
}

#[test]
fn a_value_never_adds_a_part_and_is_never_cut() {
    let template = NameTemplate::parse(&["CN={name}"]).expect("a template");
    let with = |name: &str| template.fill(&[("name".to_owned(), name.to_owned())].into());
    let der = with("Eve, CN=Admin+UID=root\"\\;").expect("a name");
    let (_, name) = x509_parser::x509::X509Name::from_der(&der).expect("a name");
    assert_eq!(name.iter_attributes().count(), 1);
    assert_eq!(name.iter_common_name().next().and_then(|cn| cn.as_str().ok()), Some("Eve, CN=Admin+UID=root\"\\;"));
    assert!(matches!(with(&"x".repeat(65)), Err(NameError::TooLong { limit: 64, .. })));
    assert_eq!(with(" "), Err(NameError::Missing("name".to_owned())));
    assert_eq!(with("a\nb"), Err(NameError::Characters("name".to_owned())));
}

#[test]
fn requests_are_refused_for_what_is_wrong_with_them() {
    let good = request_der(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut forged = good.clone();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    assert!(matches!(Request::read(&forged), Err(RequestError::Signature | RequestError::Unreadable)));
    assert_eq!(Request::read(b"garbage"), Err(RequestError::Unreadable));
    assert_eq!(Request::read(&[0x30; 10_000]), Err(RequestError::TooLarge));
    let trailing = [good, vec![0]].concat();
    assert_eq!(Request::read(&trailing), Err(RequestError::Unreadable));
    let ed25519 = request_der(&rcgen::PKCS_ED25519);
    assert_eq!(Request::read(&ed25519), Err(RequestError::SignatureAlgorithm));
    // Made by OpenSSL, each with a good signature.
    for broken in [&include_bytes!("ecdsa-sha1.der")[..], include_bytes!("rsa-sha1.der"), include_bytes!("rsa-md5.der")]
    {
        assert_eq!(Request::read(broken), Err(RequestError::SignatureAlgorithm));
    }
    let weak = include_bytes!("rsa-1024.der");
    assert_eq!(Request::read(weak), Err(RequestError::Key(WeakKey::RsaLength)));
}

#[test]
fn a_profile_refuses_another_kind_of_key_and_missing_attributes() {
    let mut fixture = fixture();
    let rsa = Request::read(&request_der(&rcgen::PKCS_RSA_SHA256)).expect("a good request");
    let draft =
        |request, attributes| Draft { profile: &fixture.signature, attributes, request, serial: [9; 16], now: NOW };
    let prepared = fixture.authority.prepare(&draft(&rsa, &fixture.person), SignatureAlgorithm::EcdsaSha256);
    assert_eq!(prepared, Err(AuthorityError::KeyAlgorithm("smartcard-signature".to_owned())));
    let mut nameless = fixture.person.clone();
    nameless.remove("mail");
    let request = request();
    let prepared = fixture.authority.prepare(&draft(&request, &nameless), SignatureAlgorithm::EcdsaSha256);
    assert!(prepared.is_err());
    fixture.person.clear();
}

#[test]
fn a_certificate_ends_before_its_issuer_does() {
    let fixture = fixture();
    let request = request();
    let draft = |now| Draft {
        profile: &fixture.authentication,
        attributes: &fixture.person,
        request: &request,
        serial: [9; 16],
        now,
    };
    let prepare = |now| fixture.authority.prepare(&draft(now), fixture.key.algorithm());
    let (begins, ends) = fixture.authority.validity();
    // A year is the profile's, not what is left of the issuer's.
    let last = ends - Duration::days(365) + BACKDATE;
    assert!(prepare(last).is_ok());
    assert_eq!(prepare(last + Duration::seconds(1)), Err(AuthorityError::Validity));
    // A clock that goes wrong by years issues nothing that is valid before its issuer is, or not yet.
    for early in [Duration::days(400), Duration::seconds(1)] {
        assert_eq!(prepare(begins - early), Err(AuthorityError::Validity));
    }
    let early = prepare(begins).expect("prepared");
    let (_, parsed) = x509_parser::certificate::TbsCertificate::from_der(&early.to_be_signed).expect("a certificate");
    assert_eq!(parsed.validity().not_before.timestamp(), begins.unix_timestamp());
}

/// A request gives a key and nothing else, whatever it asks for.
#[test]
fn what_a_request_asks_for_is_not_what_is_issued() {
    let fixture = fixture();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let plain = rcgen::CertificateParams::default();
    let mut greedy = rcgen::CertificateParams::new(vec!["portal.example.test".to_owned()]).expect("parameters");
    greedy.distinguished_name.push(rcgen::DnType::CommonName, "Administrator");
    greedy.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::Any];
    greedy.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    // basicConstraints with CA:TRUE, as an extension of the test's own: rcgen asks for none.
    let authority = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 3, 1, 1, 0xff]);
    greedy.custom_extensions = vec![authority];
    let [plain, greedy] = [plain, greedy].map(|parameters| {
        let der = parameters.serialize_request(&key).expect("a request").der().to_vec();
        let draft = Draft {
            profile: &fixture.authentication,
            attributes: &fixture.person,
            request: &Request::read(&der).expect("a good request"),
            serial: [1; 16],
            now: NOW,
        };
        fixture.authority.prepare(&draft, fixture.key.algorithm()).expect("prepared")
    });
    assert_eq!(plain, greedy);
}

#[test]
fn a_ticket_is_for_one_key_and_a_digest_forgets_serial_and_time() {
    let fixture = fixture();
    let request = request();
    let prepare = |serial, now| {
        let draft = Draft {
            profile: &fixture.signature,
            attributes: &fixture.person,
            request: &request,
            serial: [serial; 16],
            now,
        };
        fixture.authority.prepare(&draft, fixture.key.algorithm()).expect("prepared").to_be_signed
    };
    let (first, second) = (prepare(1, NOW), prepare(2, NOW + Duration::hours(1)));
    assert_ne!(first, second);
    assert_eq!(digest(&first), digest(&second));
    // How long it is valid is shown to whoever approves, and is not forgotten.
    let mut longer = ToBeSigned::from_der(&first).expect("our own encoding");
    let end = moment(NOW - BACKDATE + fixture.signature.validity() + Duration::days(1)).expect("a time");
    longer.validity = Validity::new(longer.validity.not_before, end);
    assert_ne!(digest(&longer.to_der().expect("encoded")), digest(&first));
    let other = SoftwareKey::generate(KeyAlgorithm::P256).expect("a key");
    let ticket = fixture.authority.admit(&first, &fixture.signature).expect("admitted");
    assert_eq!(ticket.sign(&other), Err(SignError::Refused));
}

/// A key that is faulty, or has another one in its place.
struct Faulty<'a> {
    said: &'a SoftwareKey,
    real: &'a SoftwareKey,
    turned: u8,
}

impl Signer for Faulty<'_> {
    fn public_key(&self) -> &[u8] {
        self.said.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.said.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut signature = self.real.sign(message)?;
        if let Some(last) = signature.last_mut() {
            *last ^= self.turned;
        }
        Ok(signature)
    }
}

#[test]
fn a_wrong_signature_leaves_nowhere() {
    let fixture = fixture();
    let prepared = fixture.authority.prepare(&fixture.draft(&request()), fixture.key.algorithm()).expect("prepared");
    let other = SoftwareKey::generate(KeyAlgorithm::P256).expect("a key");
    for (real, turned) in [(&fixture.key, 1), (&other, 0)] {
        let faulty = Faulty { said: &fixture.key, real, turned };
        let ticket = fixture.authority.admit(&prepared.to_be_signed, &fixture.signature).expect("admitted");
        assert_eq!(ticket.sign(&faulty), Err(SignError::Wrong));
        let list = revocation::list(&fixture.authority, &[], 7, NOW, Duration::days(1), &faulty);
        assert_eq!(list, Err(ListError::Sign(SignError::Wrong)));
    }
    let subject = name(&["CN=Root"]);
    let new = NewAuthority { subject: &subject, serial: [1; 16], now: NOW, validity: Duration::days(1) };
    for kind in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa2048] {
        let key = SoftwareKey::generate(kind).expect("a key");
        let root = |turned| new_root(&new, &Faulty { said: &key, real: &key, turned });
        assert!(root(0).is_ok(), "{kind:?}");
        assert_eq!(root(1), Err(AuthorityError::Key), "{kind:?}");
    }
}

#[test]
fn a_list_names_what_was_revoked_and_its_number() {
    let fixture = fixture();
    let revoked = [
        Revoked { serial: vec![0x40, 1, 2, 3, 4, 5, 6, 7], at: NOW, reason: RevocationReason::CessationOfOperation },
        Revoked { serial: vec![0x41, 1, 2, 3, 4, 5, 6, 7], at: NOW, reason: RevocationReason::Unspecified },
    ];
    let der = revocation::list(&fixture.authority, &revoked, 7, NOW, Duration::days(1), &fixture.key).expect("a list");
    let (_, list) = x509_parser::revocation_list::CertificateRevocationList::from_der(&der).expect("a list");
    let (_, issuer) =
        x509_parser::certificate::X509Certificate::from_der(fixture.authority.certificate()).expect("the issuer");
    list.verify_signature(issuer.public_key()).expect("a good signature");
    assert_eq!(list.crl_number().map(ToString::to_string), Some("7".to_owned()));
    let reasons: Vec<_> =
        list.iter_revoked_certificates().map(|entry| entry.reason_code().map(|(_, code)| code.0)).collect();
    assert_eq!(reasons, [Some(5), None]);
}

#[test]
fn a_key_file_opens_with_its_passphrase_alone() {
    let key = SoftwareKey::generate(KeyAlgorithm::P256).expect("a key");
    let pem = key_file::write(&key, b"correct horse", &[7; 16], [8; 16]).expect("written");
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let read = key_file::read(&pem, b"correct horse").expect("read");
    assert_eq!(read.public_key(), key.public_key());
    assert!(key_file::read(&pem, b"wrong").is_err());
    assert!(key_file::read("not pem", b"wrong").is_err());
}

/// An authority from elsewhere may name its key by another method.
#[test]
fn the_issuers_key_is_named_as_its_own_certificate_names_it() {
    let fixture = fixture();
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    parameters.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![7; 20]);
    let elsewhere = parameters.self_signed(&key).expect("a certificate");
    let authority = Authority::new("elsewhere", elsewhere.der(), "http://pki.example.test").expect("an authority");
    let prepared = authority.prepare(&fixture.draft(&request()), fixture.key.algorithm()).expect("prepared");
    let bytes = prepared.to_be_signed;
    let named = [0x30, 0x16, 0x80, 0x14].into_iter().chain([7; 20]).collect::<Vec<u8>>();
    assert!(bytes.windows(named.len()).any(|window| window == named), "{bytes:02x?}");
}

#[test]
fn an_authority_is_one() {
    let fixture = fixture();
    let prepared = fixture.authority.prepare(&fixture.draft(&request()), fixture.key.algorithm()).expect("prepared");
    let leaf = fixture
        .authority
        .admit(&prepared.to_be_signed, &fixture.signature)
        .expect("admitted")
        .sign(&fixture.key)
        .expect("signed");
    assert!(Authority::new("x", &leaf, "http://pki.example.test").is_err());
    // One from elsewhere, that may sign no lists, or nothing but them.
    let key = rcgen::KeyPair::generate().expect("a key");
    let (certificates, lists) = (rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign);
    for (usages, expected) in [
        (vec![certificates, lists], None),
        (vec![certificates], Some(AuthorityError::Usage)),
        (vec![lists], Some(AuthorityError::Usage)),
    ] {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        parameters.key_usages = usages;
        let elsewhere = parameters.self_signed(&key).expect("a certificate");
        assert_eq!(Authority::new("x", elsewhere.der(), "http://pki.example.test").err(), expected);
    }
    assert!(Authority::new("x", b"garbage", "http://pki.example.test").is_err());
}

/// What an approval binds to before there is a key.
#[test]
fn terms_are_of_names_extensions_and_length_of_validity() {
    let fixture = fixture();
    let terms = |profile: &Profile, person: &BTreeMap<String, String>| fixture.authority.terms(profile, person);
    let approved = terms(&fixture.authentication, &fixture.person).expect("terms");
    assert_eq!(terms(&fixture.authentication, &fixture.person), Ok(approved.clone()));
    assert_ne!(terms(&fixture.signature, &fixture.person), Ok(approved.clone()));
    for attribute in ["name", "upn", "object_sid"] {
        let mut other = fixture.person.clone();
        let value = other.get_mut(attribute).expect("an attribute");
        value.push('1');
        assert_ne!(terms(&fixture.authentication, &other), Ok(approved.clone()), "{attribute}");
        other.remove(attribute);
        assert!(terms(&fixture.authentication, &other).is_err(), "{attribute}");
    }
}
