//! The commands of the PIV card application (SP 800-73-5 part 2), over any transport.

use data_encoding::HEXLOWER;
use sealwright_protocol::{KeyAlgorithm, ManagementKeyAlgorithm, Slot};
use zeroize::Zeroizing;

use super::apdu::{self, Command, Transport};
use super::tlv;
use crate::card::CardError;
use crate::public_key;

/// The PIV card application, selected.
pub struct Piv<'a> {
    transport: &'a mut dyn Transport,
}

const APPLICATION: [u8; 11] = [0xa0, 0, 0, 3, 8, 0, 0, 0x10, 0, 1, 0];
const PIN: u8 = 0x80;
const PUK: u8 = 0x81;
const MANAGEMENT_KEY: u8 = 0x9b;

impl<'a> Piv<'a> {
    /// Selects the application.
    ///
    /// # Errors
    /// [`CardError::Status`] for a card without it.
    pub fn select(transport: &'a mut dyn Transport) -> Result<Self, CardError> {
        let mut piv = Self { transport };
        piv.send(&Command::new(0xa4, 0x04, 0x00, &APPLICATION))?;
        Ok(piv)
    }

    /// The serial number, or the GUID of the CHUID.
    ///
    /// # Errors
    /// [`CardError::NotFound`] when the card has neither.
    pub fn serial(&mut self) -> Result<String, CardError> {
        if let Some(number) = self.number()? {
            return Ok(number);
        }
        let chuid = self.get_object(Object::Chuid)?;
        let guid = tlv::find(&chuid, 0x34).filter(|guid| guid.len() == 16).ok_or(CardError::NotFound)?;
        Ok(HEXLOWER.encode(&guid))
    }

    /// The serial number, by Yubico's GET SERIAL (firmware 5.0 and later); none for a card that
    /// does not know the command.
    ///
    /// # Errors
    /// [`CardError::Gone`].
    pub fn number(&mut self) -> Result<Option<String>, CardError> {
        match self.send(&Command::new(0xf8, 0, 0, &[])) {
            Ok(serial) if serial.len() == 4 => {
                let serial = serial.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                Ok(Some(serial.to_string()))
            }
            Err(CardError::Gone) => Err(CardError::Gone),
            _ => Ok(None),
        }
    }

    /// The application's version, by Yubico's GET VERSION.
    pub fn version(&mut self) -> Option<String> {
        match self.send(&Command::new(0xfd, 0, 0, &[])).ok()?.as_slice() {
            [major, minor, patch] => Some(format!("{major}.{minor}.{patch}")),
            _ => None,
        }
    }

    /// Remaining tries of the PIN; 0 for a blocked one.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn pin_tries(&mut self) -> Result<Option<u8>, CardError> {
        match self.send(&Command::new(0x20, 0, PIN, &[])) {
            Ok(_) => Ok(None),
            Err(CardError::Wrong(tries)) => Ok(tries),
            Err(CardError::Blocked) => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    /// Remaining tries of the PUK, by Yubico's GET METADATA (firmware 5.3 and later, tag 06: how
    /// many at most, how many left). None for a card that does not tell: the standard has no way to
    /// ask.
    ///
    /// # Errors
    /// [`CardError::Gone`].
    pub fn puk_tries(&mut self) -> Result<Option<u8>, CardError> {
        match self.send(&Command::new(0xf7, 0, PUK, &[])) {
            Ok(answer) => Ok(tlv::find(&answer, 0x06).and_then(|tries| tries.get(1).copied())),
            Err(CardError::Gone) => Err(CardError::Gone),
            Err(_) => Ok(None),
        }
    }

    /// # Errors
    /// [`CardError::Wrong`] or [`CardError::Blocked`].
    pub fn verify_pin(&mut self, pin: &[u8]) -> Result<(), CardError> {
        self.send(&Command::new(0x20, 0, PIN, &*padded(pin))).map(drop)
    }

    /// # Errors
    /// [`CardError::Wrong`] or [`CardError::Blocked`].
    pub fn change_pin(&mut self, old: &[u8], new: &[u8]) -> Result<(), CardError> {
        self.send(&Command::new(0x24, 0, PIN, &both(old, new))).map(drop)
    }

    /// # Errors
    /// [`CardError::Wrong`] or [`CardError::Blocked`].
    pub fn change_puk(&mut self, old: &[u8], new: &[u8]) -> Result<(), CardError> {
        self.send(&Command::new(0x24, 0, PUK, &both(old, new))).map(drop)
    }

    /// Gives the card another PIN by its PUK, whatever the PIN was.
    ///
    /// # Errors
    /// [`CardError::Wrong`] or [`CardError::Blocked`].
    pub fn reset_pin(&mut self, puk: &[u8], new: &[u8]) -> Result<(), CardError> {
        self.send(&Command::new(0x2c, 0, PIN, &both(puk, new))).map(drop)
    }

    /// The card's witness: a random number under the management key.
    ///
    /// # Errors
    /// [`CardError::Status`] when the card has no key of this algorithm.
    pub fn witness(&mut self, algorithm: ManagementKeyAlgorithm) -> Result<Vec<u8>, CardError> {
        let data = tlv::write(0x7c, &tlv::write(0x80, &[]));
        let answer = self.send(&Command::new(0x87, algorithm_byte(algorithm), MANAGEMENT_KEY, &data))?;
        template(&answer, 0x80)
    }

    /// Gives the decrypted witness and a challenge; gets the card's answer to it. The card is
    /// unlocked for the management key then.
    ///
    /// # Errors
    /// [`CardError::Status`] when the witness is wrong: the key was another one.
    pub fn authenticate(
        &mut self,
        algorithm: ManagementKeyAlgorithm,
        witness: &[u8],
        challenge: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        let parts = [tlv::write(0x80, witness), tlv::write(0x81, challenge)].concat();
        let data = tlv::write(0x7c, &parts);
        let answer = self.send(&Command::new(0x87, algorithm_byte(algorithm), MANAGEMENT_KEY, &data))?;
        template(&answer, 0x82)
    }

    /// Yubico's SET MANAGEMENT KEY.
    ///
    /// # Errors
    /// [`CardError::Status`].
    pub fn set_management_key(&mut self, algorithm: ManagementKeyAlgorithm, key: &[u8]) -> Result<(), CardError> {
        let length = u8::try_from(key.len()).map_err(|_| CardError::Answer)?;
        let data = Zeroizing::new([&[algorithm_byte(algorithm), MANAGEMENT_KEY, length], key].concat());
        self.send(&Command::new(0xff, 0xff, 0xff, &data)).map(drop)
    }

    /// Makes a key pair; gives the public key as SubjectPublicKeyInfo (DER). The card tells it only
    /// once.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn generate(&mut self, slot: Slot, algorithm: KeyAlgorithm) -> Result<Vec<u8>, CardError> {
        let data = tlv::write(0xac, &tlv::write(0x80, &[key_algorithm_byte(algorithm)]));
        let answer = self.send(&Command::new(0x47, 0, slot.key_reference(), &data))?;
        let key = tlv::find(&answer, 0x7f49).ok_or(CardError::Answer)?;
        let read = match algorithm {
            KeyAlgorithm::P256 | KeyAlgorithm::P384 => {
                tlv::find(&key, 0x86).and_then(|point| public_key::elliptic(algorithm, &point))
            }
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 => {
                tlv::find(&key, 0x81).zip(tlv::find(&key, 0x82)).and_then(|(n, e)| public_key::rsa(&n, &e))
            }
        };
        read.ok_or(CardError::Answer)
    }

    /// Yubico's ATTEST: a certificate (DER) over the key of a slot, if it was made there.
    ///
    /// # Errors
    /// [`CardError::Status`] for a card that does not know the command, or a key that was imported.
    pub fn attest(&mut self, slot: Slot) -> Result<Vec<u8>, CardError> {
        self.send(&Command::new(0xf9, slot.key_reference(), 0, &[]))
    }

    /// The certificate (DER) of the key that attests, F9.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn attestation_certificate(&mut self) -> Result<Option<Vec<u8>>, CardError> {
        Ok(tlv::find(&self.get_object(Object::AttestationCertificate)?, 0x70))
    }

    /// Signs a message with a key of the card. The PIN must have been verified just before.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn sign(&mut self, slot: Slot, algorithm: KeyAlgorithm, message: &[u8]) -> Result<Vec<u8>, CardError> {
        let digest = public_key::to_sign(algorithm, message);
        let data = tlv::write(0x7c, &[tlv::write(0x82, &[]), tlv::write(0x81, &digest)].concat());
        let answer = self.send(&Command::new(0x87, key_algorithm_byte(algorithm), slot.key_reference(), &data))?;
        template(&answer, 0x82)
    }

    /// Deciphers a ciphertext (gives the padded block), or agrees on a secret with a public key (SP
    /// 800-73-5 part 2 appendix A). The PIN must have been verified just before.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn decipher_challenge(
        &mut self,
        slot: Slot,
        algorithm: KeyAlgorithm,
        challenge: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        let tag = if algorithm.is_rsa() { 0x81 } else { 0x85 };
        let data = tlv::write(0x7c, &[tlv::write(0x82, &[]), tlv::write(tag, challenge)].concat());
        let answer = self.send(&Command::new(0x87, key_algorithm_byte(algorithm), slot.key_reference(), &data))?;
        template(&answer, 0x82)
    }

    /// # Errors
    /// [`CardError::NotFound`] for an empty object.
    pub fn get_object(&mut self, object: Object) -> Result<Vec<u8>, CardError> {
        let data = tlv::write(0x5c, &object.tag());
        let answer = self.send(&Command::new(0xcb, 0x3f, 0xff, &data))?;
        let content = tlv::find(&answer, 0x53).ok_or(CardError::Answer)?;
        if content.is_empty() { Err(CardError::NotFound) } else { Ok(content) }
    }

    /// # Errors
    /// [`CardError`].
    pub fn put_object(&mut self, object: Object, content: &[u8]) -> Result<(), CardError> {
        let data = [tlv::write(0x5c, &object.tag()), tlv::write(0x53, content)].concat();
        self.send(&Command::new(0xdb, 0x3f, 0xff, &data)).map(drop)
    }

    /// The certificate of a slot, DER: `None` for an empty slot, and empty for what holds something
    /// else.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn certificate(&mut self, slot: Slot) -> Result<Option<Vec<u8>>, CardError> {
        match self.get_object(Object::Certificate(slot)) {
            Ok(content) => Ok(Some(tlv::find(&content, 0x70).unwrap_or_default())),
            Err(CardError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the certificate of a slot, uncompressed.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn put_certificate(&mut self, slot: Slot, certificate: &[u8]) -> Result<(), CardError> {
        let content = [tlv::write(0x70, certificate), tlv::write(0x71, &[0]), tlv::write(0xfe, &[])].concat();
        self.put_object(Object::Certificate(slot), &content)?;
        slot.retired_number().map_or(Ok(()), |number| self.put_history(number))
    }

    /// Notes that so many retired keys have certificates here (SP 800-73-5 part 1 section 3.3.3):
    /// programs look for no more than that.
    fn put_history(&mut self, number: u8) -> Result<(), CardError> {
        let content = match self.get_object(Object::KeyHistory) {
            Ok(content) => content,
            Err(CardError::NotFound) => Vec::new(),
            Err(error) => return Err(error),
        };
        let one =
            |tag| tlv::find(&content, u32::from(tag)).and_then(|value| value.first().copied()).unwrap_or_default();
        if one(ON_CARD) < number {
            let counts = [tlv::write(ON_CARD, &[number]), tlv::write(OFF_CARD, &[one(OFF_CARD)])].concat();
            let rest = tlv::find(&content, 0xf3).map(|url| tlv::write(0xf3, &url)).unwrap_or_default();
            self.put_object(Object::KeyHistory, &[counts, rest, tlv::write(0xfe, &[])].concat())?;
        }
        Ok(())
    }

    fn send(&mut self, command: &Command) -> Result<Vec<u8>, CardError> {
        apdu::send(self.transport, command)
    }
}

/// Numbers of retired keys' certificates on the card and elsewhere, in the key history.
const ON_CARD: u8 = 0xc1;
const OFF_CARD: u8 = 0xc2;

/// A data object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    Chuid,
    Ccc,
    Certificate(Slot),
    /// How many retired keys have certificates on the card.
    KeyHistory,
    /// Yubico's: the certificate of the key that attests others.
    AttestationCertificate,
}

impl Object {
    fn tag(self) -> [u8; 3] {
        match self {
            Self::Chuid => [0x5f, 0xc1, 0x02],
            Self::Ccc => [0x5f, 0xc1, 0x07],
            Self::KeyHistory => [0x5f, 0xc1, 0x0c],
            Self::Certificate(slot) => match (slot, slot.retired_number()) {
                (_, Some(number)) => [0x5f, 0xc1, 0x0c + number],
                (Slot::SIGNATURE, _) => [0x5f, 0xc1, 0x0a],
                (Slot::KEY_MANAGEMENT, _) => [0x5f, 0xc1, 0x0b],
                (Slot::CARD_AUTHENTICATION, _) => [0x5f, 0xc1, 0x01],
                _ => [0x5f, 0xc1, 0x05],
            },
            Self::AttestationCertificate => [0x5f, 0xff, 0x01],
        }
    }
}

/// SP 800-78-5 table 9.
fn algorithm_byte(algorithm: ManagementKeyAlgorithm) -> u8 {
    match algorithm {
        ManagementKeyAlgorithm::TripleDes => 0x03,
        ManagementKeyAlgorithm::Aes128 => 0x08,
        ManagementKeyAlgorithm::Aes192 => 0x0a,
        ManagementKeyAlgorithm::Aes256 => 0x0c,
    }
}

fn key_algorithm_byte(algorithm: KeyAlgorithm) -> u8 {
    match algorithm {
        KeyAlgorithm::Rsa3072 => 0x05,
        KeyAlgorithm::Rsa2048 => 0x07,
        KeyAlgorithm::P256 => 0x11,
        KeyAlgorithm::P384 => 0x14,
    }
}

/// PIN and PUK are eight bytes, filled up with FF (SP 800-73-5 part 2 section 2.4.3).
fn padded(secret: &[u8]) -> Zeroizing<[u8; 8]> {
    let mut out = Zeroizing::new([0xff; 8]);
    out.iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
    out
}

/// A secret and the one that is to take its place.
fn both(old: &[u8], new: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(16));
    out.extend_from_slice(&*padded(old));
    out.extend_from_slice(&*padded(new));
    out
}

/// A part of the dynamic authentication template.
fn template(answer: &[u8], tag: u32) -> Result<Vec<u8>, CardError> {
    tlv::find(answer, 0x7c).and_then(|inner| tlv::find(&inner, tag)).ok_or(CardError::Answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card with this in each of its objects.
    struct Holding(&'static [u8]);

    impl Transport for Holding {
        fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
            let object = if command.get(1) == Some(&0xcb) { tlv::write(0x53, self.0) } else { Vec::new() };
            Ok([object, vec![0x90, 0]].concat())
        }
    }

    #[test]
    fn a_slot_that_holds_something_else_than_a_certificate_is_not_empty() {
        let found = |card: &mut Holding| Piv::select(card).expect("a card").certificate(Slot::AUTHENTICATION);
        assert_eq!(found(&mut Holding(&[])), Ok(None));
        assert_eq!(found(&mut Holding(&[0x70, 1, 7, 0x71, 1, 0, 0xfe, 0])), Ok(Some(vec![7])));
        for other in [&[0x71, 1, 0][..], &[0xff]] {
            assert_eq!(found(&mut Holding(other)), Ok(Some(Vec::new())), "{other:?}");
        }
    }
}
