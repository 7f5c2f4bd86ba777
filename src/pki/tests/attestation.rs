//! Attestations are believed for their chain, card, slot and key alone.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    PublicKeyData,
};

use crate::attestation::{Attestation, AttestationError};

fn named(name: &str, may_sign: bool) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    if may_sign {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    parameters
}

/// A card of an authority, and a key of it.
struct Card {
    authority: Vec<u8>,
    issuer: Vec<u8>,
    certificate: Vec<u8>,
    public_key: Vec<u8>,
}

/// `may_attest` is whether the card's key is one that signs certificates; `policy` is the content of the policy's extension.
fn card(name: &str, may_attest: bool, serial: u32, policy: &[u8]) -> Card {
    let [root, own, key] = [(); 3].map(|()| KeyPair::generate().expect("a key"));
    let authority = named("root", true);
    let authority_der = authority.self_signed(&root).expect("a certificate").der().to_vec();
    let root = Issuer::new(authority, root);
    let parameters = named("card", may_attest);
    let issuer = parameters.signed_by(&own, &root).expect("a certificate").der().to_vec();
    let own = Issuer::new(parameters, own);
    let mut attested = named(name, false);
    let extension = |last, content| CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 41482, 3, last], content);
    let serial = [&[2, 4][..], &serial.to_be_bytes()].concat();
    attested.custom_extensions = vec![extension(7, serial), extension(8, policy.to_vec())];
    let certificate = attested.signed_by(&key, &own).expect("a certificate").der().to_vec();
    Card { authority: authority_der, issuer, certificate, public_key: key.subject_public_key_info() }
}

fn read(card: &Card, slot: &str) -> Result<Attestation, AttestationError> {
    Attestation::read(&card.certificate, &card.issuer, std::slice::from_ref(&card.authority), slot)
}

#[test]
fn an_attestation_is_of_one_card_slot_and_key() {
    let one = card("YubiKey PIV Attestation 9d", true, 20_000_001, &[2, 1]);
    let attested = read(&one, "9d").expect("an attestation");
    assert_eq!(attested.serial, Some(20_000_001));
    assert!(attested.asks_for_pin);
    assert_eq!(attested.check("20000001", &one.public_key), Ok(()));
    assert_eq!(attested.check("20000002", &one.public_key), Err(AttestationError::Card));
    let other = card("YubiKey PIV Attestation 9d", true, 20_000_001, &[1, 1]);
    assert_eq!(attested.check("20000001", &other.public_key), Err(AttestationError::Key));
    assert_eq!(read(&one, "9a"), Err(AttestationError::Slot));
    assert!(!read(&other, "9d").expect("an attestation").asks_for_pin);
}

#[test]
fn an_attestation_leads_to_a_known_authority() {
    let one = card("YubiKey PIV Attestation 9a", true, 1, &[2, 1]);
    let other = card("YubiKey PIV Attestation 9a", true, 1, &[2, 1]);
    let read = |certificate: &[u8], issuer: &[u8], authorities: &[Vec<u8>]| {
        Attestation::read(certificate, issuer, authorities, "9a").map(drop)
    };
    let known = [other.authority.clone(), one.authority.clone()];
    assert_eq!(read(&one.certificate, &one.issuer, &known), Ok(()));
    assert_eq!(read(&one.certificate, &one.issuer, &known[..1]), Err(AttestationError::Untrusted));
    assert_eq!(read(&one.certificate, &one.issuer, &[]), Err(AttestationError::Untrusted));
    assert_eq!(read(&one.certificate, &other.issuer, &known), Err(AttestationError::Untrusted));
    // The attested key itself attests nothing.
    assert_eq!(read(&one.certificate, &one.certificate, &known), Err(AttestationError::Untrusted));
    let leaf = card("YubiKey PIV Attestation 9a", false, 1, &[2, 1]);
    assert_eq!(super::attestation::read(&leaf, "9a"), Err(AttestationError::Untrusted));
}

proptest! {
    #[test]
    fn any_bytes_are_no_attestation(certificate: Vec<u8>, issuer: Vec<u8>, authority: Vec<u8>) {
        prop_assert!(Attestation::read(&certificate, &issuer, &[authority], "9a").is_err());
    }
}

/// Also what no signature covers: the algorithm and the frame around it.
#[test]
fn a_changed_bit_is_found() {
    let one = card("YubiKey PIV Attestation 9a", true, 1, &[2, 1]);
    for index in 0..one.certificate.len() {
        for bit in 0..8 {
            let mut certificate = one.certificate.clone();
            certificate[index] ^= 1 << bit;
            let read = Attestation::read(&certificate, &one.issuer, std::slice::from_ref(&one.authority), "9a");
            assert!(read.is_err(), "bit {bit} of byte {index}");
        }
    }
}
