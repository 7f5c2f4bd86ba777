//! The driver for PIV cards: what jobs ask for, in transactions of the card's own commands.

use sealwright_protocol::{
    Attestation, Bytes, CardFacts, FactorySecrets, KeyAlgorithm, Management, ManagementKey, ManagementKeyAlgorithm,
    Slot,
};
use zeroize::Zeroizing;

use super::apdu::Transport;
use super::commands::{Object, Piv};
use super::connection::{Leave, OpenCard};
use crate::card::{Attestations, Card, CardError, Keys, Objects, Pin, Relay, Secrets, Unlock, WritesWith};
use crate::fail_point;

impl Card for OpenCard {
    fn reader(&self) -> &str {
        &self.reader
    }

    fn serial(&mut self) -> Result<String, CardError> {
        self.transaction(Leave::AsItIs, |transport| Piv::select(transport)?.serial())
    }

    fn facts(&mut self, relay: &dyn Relay) -> Result<CardFacts, CardError> {
        let reader = self.reader.clone();
        self.transaction(Leave::Locked, |transport| {
            let mut piv = Piv::select(transport)?;
            let serial = piv.serial()?;
            let algorithm = management_key_algorithm(&mut piv)?;
            let own = authenticate(&mut piv, relay, &serial, ManagementKey::Own, algorithm)?;
            let is_factory =
                own.is_none() && authenticate(&mut piv, relay, &serial, ManagementKey::Factory, algorithm)?.is_some();
            let mut certificates = Vec::new();
            for slot in Slot::all() {
                match piv.certificate(slot) {
                    Ok(Some(certificate)) => certificates.push((slot, Bytes(certificate))),
                    Ok(None) => {}
                    Err(CardError::Gone) => return Err(CardError::Gone),
                    // Not every card has all of these.
                    Err(CardError::Status(_)) if slot.retired_number().is_some() => {}
                    // An object that cannot be read counts as a certificate: the card is not blank.
                    Err(_) => certificates.push((slot, Bytes::default())),
                }
            }
            let authentication = own.map(Bytes);
            Ok(CardFacts {
                reader,
                version: piv.version(),
                management: Management::ManagementKey { algorithm, is_factory, authentication },
                pin_tries: piv.pin_tries()?,
                certificates,
                serial,
            })
        })
    }
}

impl Secrets for OpenCard {
    fn writes_with(&self) -> WritesWith {
        WritesWith::ManagementKey
    }

    fn pin_tries(&mut self) -> Result<Option<u8>, CardError> {
        self.transaction(Leave::AsItIs, |transport| Piv::select(transport)?.pin_tries())
    }

    fn replace_pin(&mut self, secrets: &FactorySecrets, new: &Pin) -> Result<(), CardError> {
        let FactorySecrets::Piv { factory_pin, factory_puk, puk, .. } = secrets else {
            return Err(CardError::Unsupported);
        };
        let (factory, puks) = (factory_pin.reveal(), [factory_puk.reveal(), puk.reveal()]);
        if new.bytes() == factory {
            return Err(CardError::FactoryPin);
        }
        self.transaction(Leave::Locked, |transport| {
            change_pin(&mut Piv::select(transport)?, factory, puks, new.bytes())
        })
    }

    fn replace_puk(&mut self, secrets: &FactorySecrets) -> Result<(), CardError> {
        let FactorySecrets::Piv { factory_puk, puk, .. } = secrets else { return Err(CardError::Unsupported) };
        let (factory, new) = (factory_puk.reveal(), puk.reveal());
        self.transaction(Leave::Locked, |transport| change_puk(&mut Piv::select(transport)?, factory, new))
    }

    fn replace_management_key(&mut self, secrets: &FactorySecrets, relay: &dyn Relay) -> Result<(), CardError> {
        let FactorySecrets::Piv { management_key, algorithm, chuid, ccc, .. } = secrets else {
            return Err(CardError::Unsupported);
        };
        let replaced = self.unlocked(|transport| {
            let mut piv = Piv::select(transport)?;
            let serial = piv.serial()?;
            // The new key is valid already when an earlier attempt got this far.
            if authenticate(&mut piv, relay, &serial, ManagementKey::Factory, *algorithm)?.is_some() {
                // A card without a serial number is known by the CHUID that it has.
                if piv.number()?.is_some() {
                    piv.put_object(Object::Chuid, &chuid.0)?;
                }
                piv.put_object(Object::Ccc, &ccc.0)?;
                piv.set_management_key(*algorithm, management_key.reveal())?;
                fail_point!("agent.replace.management-key");
            }
            Ok(authenticate(&mut piv, relay, &serial, ManagementKey::Own, *algorithm)?.is_some())
        })?;
        if replaced { Ok(()) } else { Err(CardError::ManagementKey) }
    }
}

impl Keys for OpenCard {
    fn generate(&mut self, by: Unlock<'_>, slot: Slot, algorithm: KeyAlgorithm) -> Result<Vec<u8>, CardError> {
        self.with_management_key(by, |piv| piv.generate(slot, algorithm))
    }

    fn sign(&mut self, pin: &Pin, slot: Slot, algorithm: KeyAlgorithm, message: &[u8]) -> Result<Vec<u8>, CardError> {
        self.with_pin(pin, |piv| piv.sign(slot, algorithm, message))
    }

    fn decipher_challenge(
        &mut self,
        pin: &Pin,
        slot: Slot,
        algorithm: KeyAlgorithm,
        challenge: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CardError> {
        let found = Zeroizing::new(self.with_pin(pin, |piv| piv.decipher_challenge(slot, algorithm, challenge))?);
        if !algorithm.is_rsa() {
            return Ok(Some(found));
        }
        Ok(deciphered(&found).map(|message| Zeroizing::new(message.to_vec())))
    }
}

impl Objects for OpenCard {
    fn certificate(&mut self, slot: Slot) -> Result<Option<Vec<u8>>, CardError> {
        self.transaction(Leave::AsItIs, |transport| Piv::select(transport)?.certificate(slot))
    }

    fn write_certificate(
        &mut self,
        by: Unlock<'_>,
        slot: Slot,
        certificate: &[u8],
    ) -> Result<Option<Vec<u8>>, CardError> {
        self.with_management_key(by, |piv| {
            piv.put_certificate(slot, certificate)?;
            piv.certificate(slot)
        })
    }
}

impl Attestations for OpenCard {
    fn attestation(&mut self, slot: Slot) -> Result<Option<Attestation>, CardError> {
        self.transaction(Leave::AsItIs, |transport| {
            let mut piv = Piv::select(transport)?;
            let attested = piv.attest(slot).and_then(|certificate| Ok((certificate, piv.attestation_certificate()?)));
            match attested {
                Ok((certificate, Some(issuer))) => {
                    Ok(Some(Attestation { certificate: Bytes(certificate), issuer: Bytes(issuer) }))
                }
                Err(CardError::Gone) => Err(CardError::Gone),
                // The command is Yubico's: other cards do not know it.
                _ => Ok(None),
            }
        })
    }
}

impl OpenCard {
    /// Authenticates with the card's own management key and then runs `work`, in one transaction.
    fn with_management_key<T>(
        &mut self,
        by: Unlock<'_>,
        work: impl Fn(&mut Piv<'_>) -> Result<T, CardError>,
    ) -> Result<T, CardError> {
        let Unlock::ManagementKey(relay) = by else { return Err(CardError::Unsupported) };
        self.unlocked(|transport| {
            let mut piv = Piv::select(transport)?;
            let serial = piv.serial()?;
            let algorithm = management_key_algorithm(&mut piv)?;
            match authenticate(&mut piv, relay, &serial, ManagementKey::Own, algorithm)? {
                Some(_) => work(&mut piv),
                None => Err(CardError::ManagementKey),
            }
        })
    }

    /// Runs what unlocks the card and then uses it. Where the card says that it is not unlocked, or
    /// has not heard the beginning of a chain of commands, somebody has reset it in between: again.
    fn unlocked<T>(&mut self, work: impl Fn(&mut dyn Transport) -> Result<T, CardError>) -> Result<T, CardError> {
        let mut attempt = 1;
        loop {
            match self.transaction(Leave::Locked, &work) {
                Err(CardError::Status(NOT_UNLOCKED | NOT_NOW | NOT_WHOLE) | CardError::ManagementKey)
                    if attempt < ATTEMPTS =>
                {
                    tracing::info!(attempt, "the card has forgotten what it was unlocked with");
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Verifies the PIN just before, in the same transaction: some keys ask for it each time.
    fn with_pin<T>(&mut self, pin: &Pin, work: impl Fn(&mut Piv<'_>) -> Result<T, CardError>) -> Result<T, CardError> {
        self.unlocked(|transport| {
            let mut piv = Piv::select(transport)?;
            piv.verify_pin(pin.bytes())?;
            work(&mut piv)
        })
    }
}

/// How often the card is unlocked for one thing.
const ATTEMPTS: u32 = 3;
/// Security status not satisfied, and conditions of use not satisfied (ISO/IEC 7816-4 section 5.6).
const NOT_UNLOCKED: u16 = 0x6982;
const NOT_NOW: u16 = 0x6985;
/// Incorrect parameters in the command data field: the rest of a chain alone is that.
const NOT_WHOLE: u16 = 0x6a80;

/// The algorithms that a management key may have, the usual one first.
const ALGORITHMS: [ManagementKeyAlgorithm; 4] = [
    ManagementKeyAlgorithm::TripleDes,
    ManagementKeyAlgorithm::Aes192,
    ManagementKeyAlgorithm::Aes256,
    ManagementKeyAlgorithm::Aes128,
];

/// The algorithm of the card's management key: the one that it gives a witness for.
fn management_key_algorithm(piv: &mut Piv<'_>) -> Result<ManagementKeyAlgorithm, CardError> {
    for algorithm in ALGORITHMS {
        match piv.witness(algorithm) {
            Ok(_) => return Ok(algorithm),
            Err(CardError::Gone) => return Err(CardError::Gone),
            Err(_) => {}
        }
    }
    Err(CardError::Answer)
}

/// Authenticates to the card with a key that only the portal has; gives the card's answer to the
/// portal's challenge. `None` when the portal has no such key or the card has another one.
fn authenticate(
    piv: &mut Piv<'_>,
    relay: &dyn Relay,
    serial: &str,
    key: ManagementKey,
    algorithm: ManagementKeyAlgorithm,
) -> Result<Option<Vec<u8>>, CardError> {
    let witness = piv.witness(algorithm)?;
    let Some(answer) = relay.ask(serial, key, algorithm, witness)? else { return Ok(None) };
    match piv.authenticate(algorithm, &answer.witness.0, &answer.challenge.0) {
        Ok(response) => Ok(Some(response)),
        Err(CardError::Gone) => Err(CardError::Gone),
        Err(_) => Ok(None),
    }
}

/// The message in a block of EME-PKCS1-v1_5.
fn deciphered(block: &[u8]) -> Option<&[u8]> {
    let padded = block.strip_prefix(&[0, 2])?;
    let end = padded.iter().position(|byte| *byte == 0).filter(|length| *length >= 8)?;
    padded.get(end + 1..)
}

/// A PIN that was chosen in an attempt that was cut off is known to the person at best. There is no
/// key yet that it guards: where the one that is chosen now is another one, the PUK sets it, the
/// factory's or, replaced already, the card's own.
fn change_pin(piv: &mut Piv<'_>, factory: &[u8], puks: [&[u8]; 2], new: &[u8]) -> Result<(), CardError> {
    let tries = piv.pin_tries()?;
    match replace(piv, tries, |piv| piv.change_pin(factory, new), |piv| piv.verify_pin(new)) {
        Err(CardError::Wrong(_)) => {
            let tries = piv.puk_tries()?;
            let [factory_puk, own_puk] = puks;
            replace(piv, tries, |piv| piv.reset_pin(factory_puk, new), |piv| piv.reset_pin(own_puk, new))
        }
        changed => changed,
    }
}

fn change_puk(piv: &mut Piv<'_>, factory: &[u8], new: &[u8]) -> Result<(), CardError> {
    let tries = piv.puk_tries()?;
    replace(piv, tries, |piv| piv.change_puk(factory, new), |piv| piv.change_puk(new, new))
}

/// Replaces a secret that the card counts tries of, with two of them at most and never the last
/// one. One is for the new secret: it is valid when the confirmation of an earlier attempt was
/// lost.
fn replace(
    piv: &mut Piv<'_>,
    tries: Option<u8>,
    change: impl FnOnce(&mut Piv<'_>) -> Result<(), CardError>,
    try_new: impl FnOnce(&mut Piv<'_>) -> Result<(), CardError>,
) -> Result<(), CardError> {
    match tries {
        Some(0 | 1) => return Err(CardError::Blocked),
        Some(2) => return try_new(piv),
        _ => {}
    }
    match change(piv) {
        Err(CardError::Wrong(Some(0 | 1))) => Err(CardError::Blocked),
        Err(CardError::Wrong(_)) => try_new(piv),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_stands_behind_its_padding() {
        let block = [&[0, 2][..], &[7; 8], &[0], b"message"].concat();
        assert_eq!(deciphered(&block), Some(&b"message"[..]));
        let short = [&[0, 2][..], &[7; 7], &[0], b"message"].concat();
        assert_eq!(deciphered(&short), None);
        assert_eq!(deciphered(&[0, 1, 7, 7, 7, 7, 7, 7, 7, 7, 0]), None);
    }

    /// A card that counts the tries of its PUK, and tells them as Yubico's do, or not. Its PIN is
    /// one that nobody remembers.
    struct Counting {
        puk: &'static [u8; 8],
        tries: u8,
        tells: bool,
    }

    impl Transport for Counting {
        fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
            let answer = match command.get(1) {
                Some(0xf7) if self.tells => vec![1, 1, 0xff, 5, 1, 0, 6, 2, 3, self.tries, 0x90, 0],
                Some(0xf7) => vec![0x6d, 0],
                Some(0x20) if command.len() == 5 => vec![0x63, 0xc3],
                Some(0x20) => vec![0x63, 0xc1],
                Some(0x24) if command.get(3) == Some(&0x80) => vec![0x63, 0xc2],
                // CHANGE REFERENCE DATA of the PUK, and RESET RETRY COUNTER by it.
                Some(0x24 | 0x2c) if self.tries == 0 => vec![0x69, 0x83],
                Some(0x24 | 0x2c) if command.get(5..13) == Some(self.puk) => vec![0x90, 0],
                Some(0x24 | 0x2c) => {
                    self.tries -= 1;
                    vec![0x63, 0xc0 | self.tries]
                }
                _ => vec![0x90, 0],
            };
            Ok(answer)
        }
    }

    /// The last try of a PUK is left to the person whose card it is, also when somebody starts
    /// again and again.
    #[test]
    fn the_last_try_of_a_puk_is_not_spent() {
        let (factory, own): (&[u8], &[u8]) = (b"12345678", b"87654321");
        let changed = |card: &mut Counting, pin: Option<&[u8]>| {
            let mut piv = Piv::select(card).expect("a card");
            match pin {
                Some(pin) => change_pin(&mut piv, b"123456", [factory, own], pin),
                None => change_puk(&mut piv, factory, own),
            }
        };
        // It is replaced, or sets the PIN.
        for pin in [None, Some(&b"246810"[..])] {
            let mut foreign = Counting { puk: b"unknown!", tries: 3, tells: true };
            for _ in 0..3 {
                assert!(changed(&mut foreign, pin).is_err());
            }
            assert_eq!(foreign.tries, 1);
            // One whose earlier change was not confirmed, and one that is as it left the factory.
            for (puk, left) in [(b"87654321", 2), (b"12345678", 3)] {
                for tells in [true, false] {
                    let mut card = Counting { puk, tries: 3, tells };
                    assert_eq!(changed(&mut card, pin), Ok(()));
                    assert_eq!(card.tries, left);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_block_is_read(block in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _message = deciphered(&block);
        }
    }
}
