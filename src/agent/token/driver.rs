//! The driver: does on a token what jobs ask for.

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, CertificateType, KeyType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot as TokenSlot, TokenInfo};
use cryptoki::types::AuthPin;
use der::Encode;
use der::asn1::{OctetString, UintRef};
use sealwright_protocol::{Attestation, Bytes, CardFacts, FactorySecrets, KeyAlgorithm, Management, Secret, Slot};
use zeroize::Zeroizing;

use super::objects::{
    certificate, label, object_id, of, private_key, public_key_of, remove, serial_number, templates, value,
};
use super::quirks::{EcdhPoint, Quirk};
use crate::card::{Attestations, Card, CardError, Keys, Objects, Pin, Relay, Secrets, Unlock, WritesWith};
use crate::fail_point;
use crate::public_key;

/// A token that a module shows.
pub struct Token {
    pub(super) module: Pkcs11,
    pub(super) slot: TokenSlot,
    /// The slot's description, which for a reader is its name.
    pub(super) reader: String,
    pub(super) serial: String,
    pub(super) quirk: Quirk,
}

impl From<Error> for CardError {
    fn from(error: Error) -> Self {
        let Error::Pkcs11(value, _) = &error else {
            tracing::warn!(%error, "the module cannot be used");
            return Self::Unsupported;
        };
        match value {
            RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::SlotIdInvalid
            | RvError::SessionClosed
            | RvError::SessionHandleInvalid => Self::Gone,
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => Self::Wrong(None),
            RvError::PinLocked => Self::Blocked,
            RvError::FunctionNotSupported | RvError::MechanismInvalid | RvError::MechanismParamInvalid => {
                tracing::warn!(%error, "the module cannot do this");
                Self::Unsupported
            }
            _ => {
                tracing::warn!(%error, "the module refused");
                Self::Answer
            }
        }
    }
}

impl Card for Token {
    fn reader(&self) -> &str {
        &self.reader
    }

    fn serial(&mut self) -> Result<String, CardError> {
        self.info().map(|_| self.serial.clone())
    }

    fn facts(&mut self, _: &dyn Relay) -> Result<CardFacts, CardError> {
        let info = self.info()?;
        if info.protected_authentication_path() {
            return Err(CardError::PinPad);
        }
        if !info.login_required() && info.token_initialized() {
            return Err(CardError::Unsupported);
        }
        let mut certificates = Vec::new();
        let session = self.module.open_ro_session(self.slot)?;
        for object in session.find_objects(&[Attribute::Class(ObjectClass::CERTIFICATE)])? {
            let (id, value) = certificate(&session, object)?;
            // A certificate with another id makes the token a foreign one all the same.
            let slot = Slot::all().find(|slot| id == object_id(*slot)).unwrap_or(Slot::AUTHENTICATION);
            certificates.push((slot, Bytes(value)));
        }
        let version = info.firmware_version();
        Ok(CardFacts {
            reader: self.reader.clone(),
            serial: self.serial.clone(),
            version: Some(format!("{}.{}", version.major(), version.minor())),
            management: Management::SoPin,
            pin_tries: pin_tries(&info),
            certificates,
        })
    }
}

impl Secrets for Token {
    fn writes_with(&self) -> WritesWith {
        WritesWith::Pin
    }

    fn pin_tries(&mut self) -> Result<Option<u8>, CardError> {
        Ok(pin_tries(&self.info()?))
    }

    /// The token is made new under the security officer's PIN, the factory's or, after a lost
    /// confirmation, its own: what nobody can see without a PIN is gone then too.
    fn replace_pin(&mut self, secrets: &FactorySecrets, new: &Pin) -> Result<(), CardError> {
        let FactorySecrets::Token { factory_so_pin, so_pin, label } = secrets else {
            return Err(CardError::Unsupported);
        };
        self.with_either(factory_so_pin, so_pin, |token, officer| {
            if token.quirk.init_token {
                token.module.init_token(token.slot, officer, label)?;
            }
            fail_point!("agent.replace.token");
            token.as_officer(officer, |session| {
                session.init_pin(&text(new.bytes())?).map_err(|error| match error {
                    // The officer's PIN was right: another one must not be tried.
                    Error::Pkcs11(RvError::PinInvalid | RvError::PinLenRange, _) => CardError::UnfitPin,
                    other => other.into(),
                })
            })
        })
    }

    /// The security officer unlocks a PIN.
    fn replace_puk(&mut self, _: &FactorySecrets) -> Result<(), CardError> {
        Ok(())
    }

    fn replace_management_key(&mut self, secrets: &FactorySecrets, _: &dyn Relay) -> Result<(), CardError> {
        let FactorySecrets::Token { factory_so_pin, so_pin, .. } = secrets else {
            return Err(CardError::Unsupported);
        };
        let own = text(so_pin.reveal())?;
        self.with_either(factory_so_pin, so_pin, |token, officer| {
            token.as_officer(officer, |session| Ok(session.set_pin(officer, &own)?))
        })?;
        fail_point!("agent.replace.management-key");
        Ok(())
    }
}

impl Keys for Token {
    fn generate(&mut self, by: Unlock<'_>, slot: Slot, algorithm: KeyAlgorithm) -> Result<Vec<u8>, CardError> {
        self.as_person(by, |session| {
            for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
                remove(session, slot, class)?;
            }
            let (mechanism, public, private) = templates(slot, algorithm);
            let (public, _) = session.generate_key_pair(&mechanism, &public, &private)?;
            public_key_of(session, public, algorithm)
        })
    }

    fn sign(&mut self, pin: &Pin, slot: Slot, algorithm: KeyAlgorithm, message: &[u8]) -> Result<Vec<u8>, CardError> {
        self.as_person(Unlock::Pin(pin), |session| {
            let key = private_key(session, slot)?;
            if algorithm.is_rsa() {
                return Ok(session.sign(&Mechanism::RsaPkcs, key, &public_key::digest_info(message))?);
            }
            let raw = session.sign(&Mechanism::Ecdsa, key, &public_key::to_sign(algorithm, message))?;
            // r and s stand side by side (PKCS#11 section 6.3.12).
            let (r, s) = raw.split_at_checked(raw.len() / 2).ok_or(CardError::Answer)?;
            let encoded = UintRef::new(r).and_then(|r| EcdsaSignature { r, s: UintRef::new(s)? }.to_der());
            encoded.map_err(|_| CardError::Answer)
        })
    }

    fn decipher_challenge(
        &mut self,
        pin: &Pin,
        slot: Slot,
        algorithm: KeyAlgorithm,
        challenge: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CardError> {
        let point = match self.quirk.ecdh_point {
            EcdhPoint::Raw => challenge.to_vec(),
            EcdhPoint::OctetString => {
                OctetString::new(challenge).and_then(|point| point.to_der()).map_err(|_| CardError::Answer)?
            }
        };
        self.as_person(Unlock::Pin(pin), |session| {
            let key = private_key(session, slot)?;
            if algorithm.is_rsa() {
                return match session.decrypt(&Mechanism::RsaPkcs, key, challenge) {
                    Ok(message) => Ok(Some(Zeroizing::new(message))),
                    // Modules differ in how they say that it was none.
                    Err(Error::Pkcs11(
                        RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::GeneralError,
                        _,
                    )) => Ok(None),
                    Err(error) => Err(error.into()),
                };
            }
            let length = if algorithm == KeyAlgorithm::P384 { 48_u64 } else { 32 };
            let template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::GENERIC_SECRET),
                Attribute::Token(false),
                Attribute::Sensitive(false),
                Attribute::Extractable(true),
                Attribute::ValueLen(length.into()),
            ];
            let parameters = Ecdh1DeriveParams::new(EcKdf::null(), &point);
            let shared = session.derive_key(&Mechanism::Ecdh1Derive(parameters), key, &template)?;
            let value = value(session, shared);
            session.destroy_object(shared)?;
            value.map(|value| Some(Zeroizing::new(value)))
        })
    }
}

impl Objects for Token {
    fn certificate(&mut self, slot: Slot) -> Result<Option<Vec<u8>>, CardError> {
        self.info()?;
        let session = self.module.open_ro_session(self.slot)?;
        let found = session.find_objects(&of(slot, ObjectClass::CERTIFICATE))?;
        found.first().map(|object| certificate(&session, *object).map(|(_, value)| value)).transpose()
    }

    fn write_certificate(&mut self, by: Unlock<'_>, slot: Slot, der: &[u8]) -> Result<Option<Vec<u8>>, CardError> {
        self.as_person(by, |session| {
            remove(session, slot, ObjectClass::CERTIFICATE)?;
            let (_, read) = x509_parser::parse_x509_certificate(der).map_err(|_| CardError::Answer)?;
            let mut template = of(slot, ObjectClass::CERTIFICATE);
            template.extend([
                Attribute::Token(true),
                Attribute::Private(false),
                Attribute::CertificateType(CertificateType::X_509),
                Attribute::Label(label(slot)),
                Attribute::Subject(read.subject().as_raw().to_vec()),
                Attribute::Issuer(read.issuer().as_raw().to_vec()),
                Attribute::SerialNumber(serial_number(read.raw_serial())?),
                Attribute::Value(der.to_vec()),
            ]);
            let written = session.create_object(&template)?;
            certificate(session, written).map(|(_, value)| Some(value))
        })
    }
}

impl Attestations for Token {
    fn attestation(&mut self, _: Slot) -> Result<Option<Attestation>, CardError> {
        Ok(None)
    }
}

impl Token {
    /// Reads C_GetTokenInfo; [`CardError::Gone`] when another token is in the slot.
    fn info(&self) -> Result<TokenInfo, CardError> {
        let info = self.module.get_token_info(self.slot)?;
        if token_serial(&info).as_deref() == Some(&self.serial) { Ok(info) } else { Err(CardError::Gone) }
    }

    fn as_person<T>(
        &self,
        by: Unlock<'_>,
        work: impl FnOnce(&Session) -> Result<T, CardError>,
    ) -> Result<T, CardError> {
        let Unlock::Pin(pin) = by else { return Err(CardError::Unsupported) };
        self.signed_in(UserType::User, &text(pin.bytes())?, work)
    }

    fn as_officer<T>(
        &self,
        pin: &AuthPin,
        work: impl FnOnce(&Session) -> Result<T, CardError>,
    ) -> Result<T, CardError> {
        self.signed_in(UserType::So, pin, work)
    }

    fn signed_in<T>(
        &self,
        who: UserType,
        pin: &AuthPin,
        work: impl FnOnce(&Session) -> Result<T, CardError>,
    ) -> Result<T, CardError> {
        self.info()?;
        let session = self.module.open_rw_session(self.slot)?;
        session.login(who, Some(pin))?;
        let done = work(&session);
        // The login ends with the session, so that no other program inherits it.
        drop(session.logout());
        match done {
            // Modules differ in what they say of a token that was pulled.
            Err(CardError::Answer) => self.info().and(Err(CardError::Answer)),
            done => done,
        }
    }

    /// Tries the factory's PIN of the security officer, then the token's own. The last try is not
    /// spent.
    fn with_either(
        &self,
        factory: &Secret,
        own: &Secret,
        work: impl Fn(&Self, &AuthPin) -> Result<(), CardError>,
    ) -> Result<(), CardError> {
        for pin in [factory, own] {
            let info = self.info()?;
            if info.so_pin_locked() || info.so_pin_final_try() {
                return Err(CardError::Blocked);
            }
            match work(self, &text(pin.reveal())?) {
                Err(CardError::Wrong(_)) => {}
                other => return other,
            }
        }
        Err(CardError::Wrong(None))
    }
}

/// The serial number as the portal takes one. A token without one cannot be told from others, and
/// is left alone.
pub(super) fn token_serial(info: &TokenInfo) -> Option<String> {
    let serial: String = info.serial_number().chars().filter(char::is_ascii_alphanumeric).collect();
    (!serial.is_empty()).then_some(serial)
}

/// Tries that the token's flags leave, where they say something.
fn pin_tries(info: &TokenInfo) -> Option<u8> {
    if info.user_pin_locked() {
        Some(0)
    } else if info.user_pin_final_try() {
        Some(1)
    } else if info.user_pin_count_low() {
        Some(2)
    } else {
        None
    }
}

fn text(pin: &[u8]) -> Result<AuthPin, CardError> {
    std::str::from_utf8(pin).map(AuthPin::from).map_err(|_| CardError::Unsupported)
}

/// RFC 3279 section 2.2.3.
#[derive(der::Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}
