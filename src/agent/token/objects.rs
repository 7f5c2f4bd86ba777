//! The objects of a token: how keys and certificates of a slot are named, made and read.
//!
//! A slot of PIV is an object's id here, as OpenSC and ykcs11 number them: 9a is 01, 9c is 02, 9d
//! is 03, 9e is 04, and 82 to 95 are 05 to 18.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use der::asn1::OctetString;
use sealwright_protocol::{KeyAlgorithm, Slot};

use crate::card::CardError;
use crate::public_key;

pub(super) fn object_id(slot: Slot) -> Vec<u8> {
    let place = Slot::all().position(|known| known == slot).unwrap_or_default();
    vec![u8::try_from(place + 1).unwrap_or_default()]
}

pub(super) fn label(slot: Slot) -> Vec<u8> {
    format!("Sealwright {}", slot.as_str()).into_bytes()
}

pub(super) fn of(slot: Slot, class: ObjectClass) -> Vec<Attribute> {
    vec![Attribute::Class(class), Attribute::Id(object_id(slot))]
}

pub(super) fn remove(session: &Session, slot: Slot, class: ObjectClass) -> Result<(), CardError> {
    for object in session.find_objects(&of(slot, class))? {
        session.destroy_object(object)?;
    }
    Ok(())
}

/// The one private key of a slot.
pub(super) fn private_key(session: &Session, slot: Slot) -> Result<ObjectHandle, CardError> {
    match session.find_objects(&of(slot, ObjectClass::PRIVATE_KEY))?[..] {
        [key] => Ok(key),
        _ => Err(CardError::NotFound),
    }
}

/// Id and content of a certificate object.
pub(super) fn certificate(session: &Session, object: ObjectHandle) -> Result<(Vec<u8>, Vec<u8>), CardError> {
    let (mut id, mut value) = (Vec::new(), Vec::new());
    for attribute in session.get_attributes(object, &[AttributeType::Id, AttributeType::Value])? {
        match attribute {
            Attribute::Id(found) => id = found,
            Attribute::Value(found) => value = found,
            _ => {}
        }
    }
    Ok((id, value))
}

pub(super) fn value(session: &Session, object: ObjectHandle) -> Result<Vec<u8>, CardError> {
    let found = session.get_attributes(object, &[AttributeType::Value])?;
    found
        .into_iter()
        .find_map(|attribute| if let Attribute::Value(value) = attribute { Some(value) } else { None })
        .ok_or(CardError::Answer)
}

/// CKA_SERIAL_NUMBER is the DER INTEGER.
pub(super) fn serial_number(content: &[u8]) -> Result<Vec<u8>, CardError> {
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80).ok_or(CardError::Answer)?;
    Ok([&[0x02, length], content].concat())
}

/// Mechanism and templates of a key pair. The private key never leaves the token; a key for key
/// management deciphers or agrees on keys too.
pub(super) fn templates(slot: Slot, algorithm: KeyAlgorithm) -> (Mechanism<'static>, Vec<Attribute>, Vec<Attribute>) {
    const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const P384: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
    let rsa = |bits: u64| vec![Attribute::ModulusBits(bits.into()), Attribute::PublicExponent(vec![1, 0, 1])];
    let (mechanism, mut public) = match algorithm {
        KeyAlgorithm::P256 => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(P256.to_vec())]),
        KeyAlgorithm::P384 => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(P384.to_vec())]),
        KeyAlgorithm::Rsa2048 => (Mechanism::RsaPkcsKeyPairGen, rsa(2048)),
        KeyAlgorithm::Rsa3072 => (Mechanism::RsaPkcsKeyPairGen, rsa(3072)),
    };
    let both = [Attribute::Id(object_id(slot)), Attribute::Label(label(slot)), Attribute::Token(true)];
    public.extend(both.clone());
    public.extend([Attribute::Private(false), Attribute::Verify(true)]);
    let mut private = both.to_vec();
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ]);
    if slot.is_for_key_management() {
        if algorithm.is_rsa() {
            public.push(Attribute::Encrypt(true));
            private.push(Attribute::Decrypt(true));
        } else {
            private.push(Attribute::Derive(true));
        }
    }
    (mechanism, public, private)
}

pub(super) fn public_key_of(
    session: &Session,
    public: ObjectHandle,
    algorithm: KeyAlgorithm,
) -> Result<Vec<u8>, CardError> {
    let wanted = [AttributeType::EcPoint, AttributeType::Modulus, AttributeType::PublicExponent];
    let (mut point, mut modulus, mut exponent) = (Vec::new(), Vec::new(), Vec::new());
    for attribute in session.get_attributes(public, &wanted)? {
        match attribute {
            Attribute::EcPoint(value) => point = value,
            Attribute::Modulus(value) => modulus = value,
            Attribute::PublicExponent(value) => exponent = value,
            _ => {}
        }
    }
    let read = if algorithm.is_rsa() {
        public_key::rsa(&modulus, &exponent)
    } else {
        // An OCTET STRING around the point (PKCS#11 section 6.3.3); some modules forget it.
        let wrapped = <OctetString as der::Decode>::from_der(&point).ok();
        public_key::elliptic(algorithm, wrapped.as_ref().map_or(point.as_slice(), OctetString::as_bytes))
    };
    read.ok_or(CardError::Answer)
}
