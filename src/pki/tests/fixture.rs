//! A root, an issuing authority, two profiles and a person.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use crate::authority::{Authority, Draft, NewAuthority, new_issuing, new_root};
use crate::key::KeyAlgorithm;
use crate::name::NameTemplate;
use crate::profile::{AlternativeName, Approval, ExtendedKeyUsageWord, KeyUsageBit, Profile, ProfileOptions};
use crate::request::Request;
use crate::signer::{Signer, SoftwareKey};

pub const NOW: OffsetDateTime = time::macros::datetime!(2026-11-21 12:00 UTC);

pub struct Fixture {
    pub root: Vec<u8>,
    pub root_key: SoftwareKey,
    pub authority: Authority,
    pub key: SoftwareKey,
    pub authentication: Profile,
    pub signature: Profile,
    pub person: BTreeMap<String, String>,
}

impl Fixture {
    /// A draft under the profile for signatures.
    pub fn draft<'a>(&'a self, request: &'a Request) -> Draft<'a> {
        Draft { profile: &self.signature, attributes: &self.person, request, serial: [3; 16], now: NOW }
    }
}

pub fn name(relative: &[&str]) -> Vec<u8> {
    NameTemplate::parse(relative).expect("a name").fill(&BTreeMap::new()).expect("a name")
}

pub fn fixture() -> Fixture {
    let root_key = SoftwareKey::generate(KeyAlgorithm::P384).expect("a key");
    let key = SoftwareKey::generate(KeyAlgorithm::P256).expect("a key");
    let root_subject = name(&["DC=test", "DC=example", "CN=Root"]);
    let new = NewAuthority { subject: &root_subject, serial: [1; 16], now: NOW, validity: Duration::days(7300) };
    let root = new_root(&new, &root_key).expect("a root");
    let parent = Authority::new("root", &root, "http://pki.example.test").expect("a root");
    let subject = name(&["DC=test", "DC=example", "OU=PKI", "OU=Issuing", "CN=Issuing"]);
    let new = NewAuthority { subject: &subject, serial: [2; 16], now: NOW, validity: Duration::days(3650) };
    let issuing = new_issuing(&parent, &new, key.public_key(), &root_key).expect("an issuing authority");
    let authority = Authority::new("issuing", &issuing, "http://pki.example.test").expect("an issuing authority");
    let authentication = ProfileOptions {
        title: "Authentication".to_owned(),
        subject: ["DC=test", "DC=example", "OU=People", "OU=Smart cards", "CN={name}+UID={login}"]
            .map(str::to_owned)
            .to_vec(),
        key_algorithms: vec![KeyAlgorithm::Rsa2048, KeyAlgorithm::P256],
        validity_days: 365,
        key_usage: vec![KeyUsageBit::DigitalSignature],
        extended_key_usage: vec![ExtendedKeyUsageWord::ClientAuthentication, ExtendedKeyUsageWord::SmartCardLogon],
        alternative_names: vec![AlternativeName::UserPrincipalName],
        security_identifier: true,
        approval: Approval::Automatic,
        approvals: None,
    };
    let signature = ProfileOptions {
        title: "Signature".to_owned(),
        subject: ["DC=test", "DC=example", "CN={name}"].map(str::to_owned).to_vec(),
        key_algorithms: vec![KeyAlgorithm::P256],
        validity_days: 365,
        key_usage: vec![KeyUsageBit::DigitalSignature, KeyUsageBit::NonRepudiation],
        extended_key_usage: vec![],
        alternative_names: vec![AlternativeName::Email],
        security_identifier: false,
        approval: Approval::Automatic,
        approvals: None,
    };
    let person = [
        ("name", "Alice Ångström"),
        ("login", "alice"),
        ("mail", "alice@example.test"),
        ("upn", "alice@corp.example.test"),
        ("object_sid", "S-1-5-21-1-2-3-1104"),
    ];
    Fixture {
        root,
        root_key,
        authority,
        key,
        authentication: Profile::new("smartcard-authentication", authentication).expect("a profile"),
        signature: Profile::new("smartcard-signature", signature).expect("a profile"),
        person: person.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}

/// A PKCS#10 request (DER) of a fresh key.
pub fn request_der(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
    let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    request.der().to_vec()
}

pub fn request() -> Request {
    Request::read(&request_der(&rcgen::PKCS_ECDSA_P256_SHA256)).expect("a good request")
}
