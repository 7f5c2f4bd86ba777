//! For every rule a certificate that breaks it, made from a good one.

use der::asn1::{ObjectIdentifier, OctetString, OctetStringRef};
use der::oid::AssociatedOid;
use der::{Any, Decode, Encode};
use time::Duration;
use x509_cert::Version;
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames, OtherName};
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage};
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Validity;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use super::fixture::{Fixture, NOW, fixture, name, request, request_der};
use crate::authority::{Authority, AuthorityError, Draft, NewAuthority, new_root};
use crate::encoding::{RevokedEntry, Signed, ToBeSigned, ToBeSignedList, moment};
use crate::extension::{self, SECURITY_IDENTIFIER, SECURITY_IDENTIFIER_NAME};
use crate::key::KeyAlgorithm;
use crate::lint::{self, RULES};
use crate::profile::{Approval, KeyUsageBit, Profile, ProfileOptions};
use crate::revocation::{self, ListError, RevocationReason, Revoked};
use crate::signer::Signer;

fn good(fixture: &Fixture) -> ToBeSigned {
    let draft = Draft {
        profile: &fixture.authentication,
        attributes: &fixture.person,
        request: &request(),
        serial: [9; 16],
        now: NOW,
    };
    let prepared = fixture.authority.prepare(&draft, fixture.key.algorithm()).expect("prepared");
    ToBeSigned::from_der(&prepared.to_be_signed).expect("our own encoding")
}

fn without(certificate: &mut ToBeSigned, oid: &str) {
    if let Some(extensions) = &mut certificate.extensions {
        extensions.retain(|extension| extension.extn_id.to_string() != oid);
    }
}

fn add(certificate: &mut ToBeSigned, extension: x509_cert::ext::Extension) {
    if let Some(extensions) = &mut certificate.extensions {
        extensions.push(extension);
    }
}

/// Gives an extension that is there another value.
fn put(certificate: &mut ToBeSigned, oid: ObjectIdentifier, value: &[u8]) {
    for extension in certificate.extensions.iter_mut().flatten().filter(|extension| extension.extn_id == oid) {
        extension.extn_value = OctetString::new(value).expect("a string");
    }
}

/// Breaks exactly what the rule is about.
fn breaks(rule: &str, certificate: &mut ToBeSigned, fixture: &Fixture) {
    match rule {
        "serial-number" => certificate.serial_number = SerialNumber::new(&[1, 2, 3]).expect("a serial number"),
        "validity" => {
            let (from, to) = (moment(NOW), moment(NOW + Duration::days(366)));
            certificate.validity = Validity::new(from.expect("a time"), to.expect("a time"));
        }
        "subject" => {
            certificate.subject =
                Any::from_der(&name(&["DC=test"])).and_then(|_| Any::from_der(&[0x30, 0])).expect("a name")
        }
        "key" => certificate.subject_public_key_info = Any::from_der(fixture.authority.public_key()).expect("a key"),
        "extensions" => {
            let extra = certificate.extensions.as_ref().and_then(|all| all.first()).cloned().expect("an extension");
            add(certificate, extra);
        }
        "basic-constraints" => add(certificate, extension::authority(None).expect("extensions").remove(0)),
        "key-usage" => {
            without(certificate, "2.5.29.15");
            add(certificate, extension::key_usage(&[KeyUsageBit::NonRepudiation]).expect("an extension"));
        }
        "authority-key-identifier" => {
            without(certificate, "2.5.29.35");
            add(certificate, extension::authority_key_identifier(&[0; 20]).expect("an extension"));
        }
        "alternative-name" => without(certificate, "2.5.29.17"),
        "security-identifier" => {
            without(certificate, &SECURITY_IDENTIFIER.to_string());
            let value = OctetString::new([0x30, 0]).expect("a string");
            add(
                certificate,
                x509_cert::ext::Extension { extn_id: SECURITY_IDENTIFIER, critical: false, extn_value: value },
            );
        }
        "distribution-point" => {
            without(certificate, "2.5.29.31");
            let mut others = extension::locations("https://secure.example.test/a.crl", "http://x").expect("extensions");
            add(certificate, others.remove(0));
        }
        "signature-algorithm" => {
            certificate.signature.oid = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
        }
        other => panic!("the rule `{other}` has no broken certificate"),
    }
}

/// What a rule is about besides, one condition each.
#[test]
fn every_condition_has_a_certificate_that_breaks_it() {
    type Break = fn(&mut ToBeSigned, &Fixture);
    let breaks: [(&str, &str, Break); 17] = [
        ("serial-number", "zero", |certificate, _| {
            certificate.serial_number = SerialNumber::new(&[0]).expect("a serial number");
        }),
        ("validity", "backwards", |certificate, _| {
            let (from, to) = (certificate.validity.not_before, certificate.validity.not_after);
            certificate.validity = Validity::new(to, from);
        }),
        ("validity", "before the issuer", |certificate, _| {
            let (from, to) = (NOW - Duration::days(60), NOW + Duration::days(60));
            certificate.validity = Validity::new(moment(from).expect("a time"), moment(to).expect("a time"));
        }),
        ("validity", "after the issuer", |certificate, _| {
            let (from, to) = (NOW + Duration::days(3600), NOW + Duration::days(3660));
            certificate.validity = Validity::new(moment(from).expect("a time"), moment(to).expect("a time"));
        }),
        ("subject", "another issuer", |certificate, _| {
            certificate.issuer = Any::from_der(&name(&["CN=Other"])).expect("a name");
        }),
        ("subject", "the issuer itself", |certificate, _| certificate.subject = certificate.issuer.clone()),
        ("subject", "65 characters", |certificate, _| {
            // 64 characters, and one more by hand: the library makes no longer ones.
            let mut long = name(&[&format!("CN={}", "x".repeat(64))]);
            long.push(b'x');
            [1, 3, 5, 12].into_iter().for_each(|length| long[length] += 1);
            certificate.subject = Any::from_der(&long).expect("a name");
        }),
        ("extensions", "version 1", |certificate, _| certificate.version = Version::V1),
        ("extensions", "unknown and critical", |certificate, _| {
            let value = OctetString::new([5, 0]).expect("a string");
            let extn_id = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.1.1");
            add(certificate, x509_cert::ext::Extension { extn_id, critical: true, extn_value: value });
        }),
        ("key-usage", "none", |certificate, _| without(certificate, "2.5.29.15")),
        ("key-usage", "not critical", |certificate, _| {
            for extension in certificate.extensions.iter_mut().flatten() {
                extension.critical &= extension.extn_id.to_string() != "2.5.29.15";
            }
        }),
        ("key-usage", "an authority's", |certificate, _| {
            let authoritys = extension::authority(None).expect("extensions");
            without(certificate, "2.5.29.15");
            let usage = authoritys.into_iter().find(|extension| extension.extn_id.to_string() == "2.5.29.15");
            add(certificate, usage.expect("a key usage"));
        }),
        ("authority-key-identifier", "none", |certificate, _| without(certificate, "2.5.29.35")),
        ("authority-key-identifier", "no own", |certificate, _| without(certificate, "2.5.29.14")),
        ("security-identifier", "none", |certificate, _| without(certificate, &SECURITY_IDENTIFIER.to_string())),
        ("distribution-point", "none", |certificate, _| without(certificate, "2.5.29.31")),
        ("signature-algorithm", "SHA-1", |certificate, _| {
            certificate.signature.oid = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
        }),
    ];
    let fixture = fixture();
    for (rule, what, break_it) in breaks {
        let mut certificate = good(&fixture);
        break_it(&mut certificate, &fixture);
        let bytes = certificate.to_der().expect("encoded");
        let findings = fixture.authority.admit(&bytes, &fixture.authentication).expect_err(what);
        assert!(findings.iter().any(|finding| finding.rule == rule), "{rule}, {what}: {findings:?}");
    }
}

#[test]
fn a_good_certificate_breaks_no_rule() {
    let fixture = fixture();
    let bytes = good(&fixture).to_der().expect("encoded");
    assert!(fixture.authority.admit(&bytes, &fixture.authentication).is_ok());
}

#[test]
fn every_rule_finds_the_certificate_that_breaks_it() {
    let fixture = fixture();
    for (rule, _) in RULES {
        let mut certificate = good(&fixture);
        breaks(rule, &mut certificate, &fixture);
        let bytes = certificate.to_der().expect("encoded");
        let findings = fixture.authority.admit(&bytes, &fixture.authentication).expect_err(rule);
        assert!(findings.iter().any(|finding| finding.rule == rule), "{rule}: {findings:?}");
    }
}

/// What a key may be used for is the profile's list, and nothing beside it.
#[test]
fn a_further_key_usage_is_found() {
    let fixture = fixture();
    // digitalSignature, and beside it each other usage of RFC 5280; the tenth bit and the seventeenth, which have no name.
    for bits in [
        &[6, 0xc0][..],
        &[5, 0xa0],
        &[4, 0x90],
        &[3, 0x88],
        &[2, 0x84],
        &[1, 0x82],
        &[0, 0x81],
        &[7, 0x80, 0x80],
        &[6, 0x80, 0x40],
        &[7, 0x80, 0, 0x80],
    ] {
        let mut certificate = good(&fixture);
        let length = u8::try_from(bits.len()).expect("a length");
        put(&mut certificate, KeyUsage::OID, &[&[3, length][..], bits].concat());
        let bytes = certificate.to_der().expect("encoded");
        let findings = fixture.authority.admit(&bytes, &fixture.authentication).expect_err("refused");
        assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["key-usage"], "{bits:02x?}");
    }
}

/// The same of extended usages.
#[test]
fn a_further_extended_key_usage_is_found() {
    // serverAuth, codeSigning, OCSPSigning, anyExtendedKeyUsage, and one that nobody knows.
    for further in ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.9", "2.5.29.37.0", "1.3.6.1.4.1.1.1"] {
        let fixture = fixture();
        let mut certificate = good(&fixture);
        let words = fixture.authentication.extended_key_usage().iter().map(|word| word.oid());
        let usage = ExtendedKeyUsage(words.chain([ObjectIdentifier::new_unwrap(further)]).collect());
        put(&mut certificate, ExtendedKeyUsage::OID, &usage.to_der().expect("encoded"));
        let bytes = certificate.to_der().expect("encoded");
        let findings = fixture.authority.admit(&bytes, &fixture.authentication).expect_err(further);
        assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["key-usage"], "{further}");
    }
}

#[test]
fn a_security_identifier_says_what_it_is_and_is_an_accounts() {
    let fixture = fixture();
    let findings = |type_id: ObjectIdentifier, text: &str| {
        let mut certificate = good(&fixture);
        let value = OctetStringRef::new(text.as_bytes()).map(Any::from).expect("a string");
        let names: GeneralNames = vec![GeneralName::OtherName(OtherName { type_id, value })];
        put(&mut certificate, SECURITY_IDENTIFIER, &names.to_der().expect("encoded"));
        let bytes = certificate.to_der().expect("encoded");
        let found = fixture.authority.admit(&bytes, &fixture.authentication).err().unwrap_or_default();
        found.into_iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    let of_numbers = |count| format!("S-1-5-21{}", "-4294967295".repeat(count));
    for good in ["S-1-5-21-1-2-3-1104", "S-1-5-21-0", &of_numbers(14)] {
        assert_eq!(findings(SECURITY_IDENTIFIER_NAME, good), Vec::<&str>::new(), "{good}");
    }
    // The extension's own identifier, and a principal's name.
    for type_id in [SECURITY_IDENTIFIER, extension::USER_PRINCIPAL_NAME] {
        assert_eq!(findings(type_id, "S-1-5-21-1-2-3-1104"), ["security-identifier"], "{type_id}");
    }
    for bad in [
        "",
        "S-1-0-0",
        "S-1-5-32-544",
        "S-1-5-21",
        "S-1-5-21-",
        "S-1-5-210-1",
        "s-1-5-21-1-2-3-1104",
        "S-1-+5-21",
        "S-1-05-21-1",
        "S-1-5-21-+1-2-3-1104",
        "S-1-5-21--1-2-3-1104",
        "S-1-5-21-1-2-3-01104",
        "S-1-5-21-00",
        "S-1-5-21-1-2-3-4294967296",
        "S-1-5-21-1-2-3-0x450",
        "S-1-5-21-1-2-3-1104-",
        "S-1-5-21-1-2-3-1104 ",
        "S-1-5-21-1-2-3-1104\0",
        "S-1-5-21-\u{661}",
        &of_numbers(15),
    ] {
        assert_eq!(findings(SECURITY_IDENTIFIER_NAME, bad), ["security-identifier"], "{bad:?}");
    }
}

#[test]
fn a_key_of_another_kind_is_found() {
    let fixture = fixture();
    let mut certificate = good(&fixture);
    let request = crate::request::Request::read(&request_der(&rcgen::PKCS_ECDSA_P384_SHA384)).expect("a good request");
    certificate.subject_public_key_info = Any::from_der(request.subject_public_key_info()).expect("a key");
    let findings =
        fixture.authority.admit(&certificate.to_der().expect("encoded"), &fixture.authentication).expect_err("refused");
    assert_eq!(findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["key"]);
}

#[test]
fn a_usage_that_does_not_fit_the_kind_of_key_is_found() {
    let fixture = fixture();
    let (rsa, elliptic) = (&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256);
    for (algorithm, usage, fitting, other) in [
        (KeyAlgorithm::Rsa2048, KeyUsageBit::KeyEncipherment, rsa, elliptic),
        (KeyAlgorithm::P256, KeyUsageBit::KeyAgreement, elliptic, rsa),
    ] {
        let options = ProfileOptions {
            title: "Encryption".to_owned(),
            subject: ["DC=test", "DC=example", "CN={name}"].map(str::to_owned).to_vec(),
            key_algorithms: vec![algorithm],
            validity_days: 30,
            key_usage: vec![usage],
            extended_key_usage: vec![],
            alternative_names: vec![],
            security_identifier: false,
            approval: Approval::Automatic,
            approvals: None,
        };
        // A profile for both kinds of key is refused before there is a request.
        let both =
            ProfileOptions { key_algorithms: vec![KeyAlgorithm::Rsa2048, KeyAlgorithm::P256], ..options.clone() };
        assert!(Profile::new("encryption", both).is_err());
        let profile = Profile::new("encryption", options).expect("a profile");
        let [fitting, other] =
            [fitting, other].map(|kind| crate::request::Request::read(&request_der(kind)).expect("a good request"));
        let draft =
            Draft { profile: &profile, attributes: &fixture.person, request: &fitting, serial: [9; 16], now: NOW };
        let prepared = fixture.authority.prepare(&draft, fixture.key.algorithm()).expect("prepared");
        let bytes = prepared.to_be_signed;
        assert!(fixture.authority.admit(&bytes, &profile).is_ok(), "{usage:?}");
        let mut certificate = ToBeSigned::from_der(&bytes).expect("our own encoding");
        certificate.subject_public_key_info = Any::from_der(other.subject_public_key_info()).expect("a key");
        let bytes = certificate.to_der().expect("encoded");
        let findings = fixture.authority.admit(&bytes, &profile).expect_err("refused");
        assert!(findings.iter().any(|finding| finding.rule == "key-usage"), "{findings:?}");
    }
}

/// For every rule of authorities' own certificates one that breaks it: of a root, and of the authority below it.
#[test]
fn an_authority_that_breaks_a_rule_is_found_by_it() {
    type Break = fn(&mut ToBeSigned, &Fixture);
    // Of both.
    let of_each: [(&str, Break); 15] = [
        ("authority-serial-number", |own, _| own.serial_number = SerialNumber::new(&[1, 2]).expect("a serial number")),
        ("authority-issuer", |own, _| own.signature.oid = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1")),
        ("authority-issuer", |own, _| own.issuer = Any::from_der(&name(&["CN=Other"])).expect("a name")),
        ("authority-issuer", |own, _| own.subject = Any::from_der(&[0x30, 0]).expect("a name")),
        ("authority-validity", |own, _| {
            own.validity = Validity::new(own.validity.not_after, own.validity.not_before);
        }),
        ("authority-key", |own, fixture| {
            // The root's would have to sign, and below it nobody has it.
            let is_root = own.subject == own.issuer;
            let other = if is_root { fixture.key.public_key() } else { fixture.root_key.public_key() };
            own.subject_public_key_info = Any::from_der(other).expect("a key");
        }),
        ("authority-key", |own, _| {
            let (_, weak) = X509CertificationRequest::from_der(include_bytes!("rsa-1024.der")).expect("a request");
            let weak = weak.certification_request_info.subject_pki.raw;
            own.subject_public_key_info = Any::from_der(weak).expect("a key");
        }),
        ("authority-usage", |own, _| without(own, "2.5.29.19")),
        ("authority-usage", |own, _| without(own, "2.5.29.15")),
        ("authority-usage", |own, _| {
            without(own, "2.5.29.19");
            add(own, extension::authority(Some(1)).expect("extensions").remove(0));
        }),
        ("authority-usage", |own, _| {
            without(own, "2.5.29.15");
            add(own, extension::key_usage(&[KeyUsageBit::DigitalSignature]).expect("an extension"));
        }),
        ("authority-usage", |own, _| {
            let client = ExtendedKeyUsage(vec![ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2")]);
            add(own, extension::extension(ExtendedKeyUsage::OID, false, &client).expect("an extension"));
        }),
        ("authority-usage", |own, _| {
            own.extensions.iter_mut().flatten().for_each(|extension| extension.critical = false)
        }),
        ("authority-extensions", |own, _| own.version = Version::V1),
        ("authority-extensions", |own, _| without(own, "2.5.29.14")),
    ];
    // Of the one below a root.
    let of_issuing: [(&str, Break); 6] = [
        ("authority-issuer", |own, _| own.subject = own.issuer.clone()),
        ("authority-validity", |own, _| {
            let (from, to) = (moment(NOW), moment(NOW + Duration::days(7301)));
            own.validity = Validity::new(from.expect("a time"), to.expect("a time"));
        }),
        ("authority-usage", |own, _| {
            without(own, "2.5.29.19");
            add(own, extension::authority(None).expect("extensions").remove(0));
        }),
        ("authority-extensions", |own, _| without(own, "2.5.29.35")),
        ("authority-extensions", |own, _| {
            without(own, "2.5.29.35");
            add(own, extension::authority_key_identifier(&[0; 20]).expect("an extension"));
        }),
        ("authority-extensions", |own, _| without(own, "2.5.29.31")),
    ];
    let fixture = fixture();
    let root = Authority::new("root", &fixture.root, "http://pki.example.test").expect("a root");
    let own = |der: &[u8]| {
        let signed = Signed::from_der(der).expect("our own encoding").to_be_signed.to_der().expect("encoded");
        ToBeSigned::from_der(&signed).expect("our own encoding")
    };
    let findings = |above: Option<&Authority>, own: &ToBeSigned| {
        let found = lint::authority::lint(above, &fixture.root_key, &own.to_der().expect("encoded"));
        found.into_iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    let both = [(None, own(&fixture.root)), (Some(&root), own(fixture.authority.certificate()))];
    for (above, good) in &both {
        assert_eq!(findings(*above, good), Vec::<&str>::new());
        let further = if above.is_some() { of_issuing.as_slice() } else { &[] };
        for (number, (rule, break_it)) in of_each.iter().chain(further).enumerate() {
            let mut broken = good.clone();
            break_it(&mut broken, &fixture);
            let found = findings(*above, &broken);
            assert!(found.contains(rule), "break {number}, {rule}: {found:?}");
        }
    }
    for (rule, _) in lint::authority::RULES {
        assert!(of_each.iter().any(|(broken, _)| *broken == rule), "{rule} has no broken certificate");
    }
    // What is found keeps the key from being used.
    let subject = name(&["CN=Late"]);
    let never = NewAuthority { subject: &subject, serial: [1; 16], now: NOW, validity: Duration::ZERO };
    let found = new_root(&never, &fixture.root_key);
    assert!(matches!(found, Err(AuthorityError::Found(finding)) if finding.rule == "authority-validity"));
}

/// For every rule of lists a list that breaks it, made from a good one.
#[test]
fn a_list_that_breaks_a_rule_is_found_by_it() {
    let fixture = fixture();
    let revoked = [1, 2].map(|last| Revoked {
        serial: vec![0x40, 1, 2, 3, 4, 5, 6, last],
        at: NOW,
        reason: RevocationReason::Superseded,
    });
    let der = revocation::list(&fixture.authority, &revoked, 7, NOW, Duration::days(1), &fixture.key).expect("a list");
    let signed = Signed::from_der(&der).expect("our own encoding").to_be_signed.to_der().expect("encoded");
    let good = ToBeSignedList::from_der(&signed).expect("our own encoding");
    let findings = |list: &ToBeSignedList| {
        let bytes = list.to_der().expect("encoded");
        let found = lint::list::lint(&fixture.authority, fixture.key.algorithm(), &bytes);
        found.into_iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    assert_eq!(findings(&good), Vec::<&str>::new());
    type Break = fn(&mut ToBeSignedList);
    let breaks: [(&str, Break); 12] = [
        ("list-issuer", |list| list.version = Version::V1),
        ("list-issuer", |list| list.signature.oid = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5")),
        ("list-issuer", |list| list.issuer = Any::from_der(&name(&["DC=other"])).expect("a name")),
        ("list-validity", |list| list.next_update = list.this_update),
        ("list-extensions", |list| list.extensions = None),
        ("list-extensions", |list| extensions_of(list).truncate(1)),
        ("list-extensions", |list| extensions_of(list).iter_mut().for_each(|extension| extension.critical = true)),
        ("list-extensions", |list| {
            let number = extensions_of(list)[1].clone();
            extensions_of(list).push(number);
        }),
        ("list-entries", |list| entries_of(list)[0].serial_number = entries_of(list)[1].serial_number.clone()),
        ("list-entries", |list| {
            entries_of(list)[0].serial_number = SerialNumber::new(&[0]).expect("a serial number");
        }),
        ("list-entries", |list| {
            let reason = OctetString::new([0x0a, 1, 0]).expect("a string");
            entries_of(list)[0].extensions.as_mut().expect("a reason")[0].extn_value = reason;
        }),
        ("list-entries", |list| entries_of(list)[0].extensions.as_mut().expect("a reason")[0].critical = true),
    ];
    for (number, (rule, break_it)) in breaks.into_iter().enumerate() {
        let mut list = good.clone();
        break_it(&mut list);
        assert_eq!(findings(&list), [rule], "break {number}");
    }
    for (rule, _) in lint::list::RULES {
        assert!(breaks.iter().any(|(broken, _)| *broken == rule), "{rule} has no broken list");
    }
    // What is found keeps the key from being used.
    let twice = [revoked[0].clone(), revoked[0].clone()];
    let found = revocation::list(&fixture.authority, &twice, 7, NOW, Duration::days(1), &fixture.key);
    assert!(matches!(found, Err(ListError::Found(finding)) if finding.rule == "list-entries"));
}

fn extensions_of(list: &mut ToBeSignedList) -> &mut Vec<x509_cert::ext::Extension> {
    list.extensions.as_mut().expect("extensions")
}

fn entries_of(list: &mut ToBeSignedList) -> &mut Vec<RevokedEntry> {
    list.revoked_certificates.as_mut().expect("entries")
}
