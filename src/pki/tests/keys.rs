//! Which keys are certified, and in which writing.

use der::Encode;
use der::asn1::{AnyRef, BitString, ObjectIdentifier, UintRef};
use num_bigint::BigUint;
use rcgen::{KeyPair, PublicKeyData};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfo};

use crate::key::{KeyAlgorithm, RsaPublicKey, WeakKey, examine};

const RSA: &str = "1.2.840.113549.1.1.1";

fn info(algorithm: &str, parameters: Option<AnyRef<'_>>, key: &[u8]) -> Vec<u8> {
    let algorithm = AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap(algorithm), parameters };
    let subject_public_key = BitString::from_bytes(key).expect("bits");
    SubjectPublicKeyInfo { algorithm, subject_public_key }.to_der().expect("DER")
}

fn rsa_key(modulus: &BigUint, exponent: u32) -> Vec<u8> {
    let (modulus, exponent) = (modulus.to_bytes_be(), exponent.to_be_bytes());
    let [modulus, public_exponent] = [&modulus, &exponent[..]].map(|bytes| UintRef::new(bytes).expect("a number"));
    RsaPublicKey { modulus, public_exponent }.to_der().expect("DER")
}

fn rsa(modulus: &BigUint, exponent: u32) -> Result<KeyAlgorithm, WeakKey> {
    examine(&info(RSA, Some(AnyRef::NULL), &rsa_key(modulus, exponent)))
}

/// The product of two numbers without small factors, far apart, of so many bits. Nobody factors it here.
fn modulus(bits: u32) -> BigUint {
    let odd = |shift: u32, more: u32| (BigUint::from(1_u8) << shift) + (BigUint::from(1_u8) << (shift - 1)) + more;
    let has_small_factor = |number: &BigUint| (2_u32..100).any(|by| number % by == BigUint::ZERO);
    let first = (1_u32..).map(|more| odd(bits / 2 - 1, more)).find(|number| !has_small_factor(number));
    let far = BigUint::from(1_u8) << (bits / 2 - 2);
    let second = (1_u32..).map(|more| odd(bits / 2 - 1, more) + &far).find(|number| !has_small_factor(number));
    first.expect("a number") * second.expect("a number")
}

#[test]
fn good_keys_are_certified() {
    assert_eq!(rsa(&modulus(2048), 65_537), Ok(KeyAlgorithm::Rsa2048));
    assert_eq!(rsa(&modulus(3072), 65_537), Ok(KeyAlgorithm::Rsa3072));
    for (algorithm, expected) in
        [(&rcgen::PKCS_ECDSA_P256_SHA256, KeyAlgorithm::P256), (&rcgen::PKCS_ECDSA_P384_SHA384, KeyAlgorithm::P384)]
    {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        assert_eq!(examine(&key.subject_public_key_info()), Ok(expected));
    }
}

#[test]
fn weak_keys_are_not() {
    let good = modulus(2048);
    // Also those that are as good as 65537: a key that is blocked must not come back with another one.
    for exponent in [1, 3, 65_535, 65_538, 65_539, u32::MAX] {
        assert_eq!(rsa(&good, exponent), Err(WeakKey::RsaExponent), "{exponent}");
    }
    assert_eq!(rsa(&modulus(1024), 65_537), Err(WeakKey::RsaLength));
    assert_eq!(rsa(&(&good + 1_u8), 65_537), Err(WeakKey::RsaModulus), "an even modulus");
    for factor in [101_u32, 751] {
        let multiple = &good - (&good % (2 * factor)) + factor;
        assert_eq!(rsa(&multiple, 65_537), Err(WeakKey::RsaModulus), "a multiple of {factor}");
    }
    // RFC 3526 section 3: the prime of 2048 bits.
    assert_eq!(rsa(&prime_of_2048_bits(), 65_537), Err(WeakKey::RsaModulus), "a prime");
    let close = (BigUint::from(3_u8) << 1022_u32) + 1_u8;
    let coprime = |number: &BigUint| (2_u32..100).all(|by| number % by != BigUint::ZERO);
    let first = (0_u32..).map(|more| &close + more).find(coprime).expect("a number");
    let second = (1_000_u32..).map(|more| &close + more).find(coprime).expect("a number");
    assert_eq!(rsa(&(&first * &first), 65_537), Err(WeakKey::Fermat), "a square");
    assert_eq!(rsa(&(first * second), 65_537), Err(WeakKey::Fermat));
    let rest = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    assert_eq!(examine(&rest.subject_public_key_info()), Err(WeakKey::UnknownAlgorithm));
    // DSA.
    assert_eq!(examine(&info("1.2.840.10040.4.1", None, &[2, 1, 5])), Err(WeakKey::UnknownAlgorithm));
}

/// 2^2048 - 2^1984 - 1 + 2^64 * ( [2^1918 pi] + 124476 ).
fn prime_of_2048_bits() -> BigUint {
    let digits = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
                  EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
                  EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
                  83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
                  E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
                  15728E5A8AACAA68FFFFFFFFFFFFFFFF";
    BigUint::parse_bytes(digits.as_bytes(), 16).expect("a number")
}

/// ROCA: k·M + 65537^a, made of the generator's own M.
#[test]
fn a_key_of_the_generator_that_can_be_factored_is_refused() {
    let is_prime = |number: &u32| (2..*number).all(|by| !number.is_multiple_of(by));
    let product = (2_u32..168).filter(is_prime).fold(BigUint::from(1_u8), |product, prime| product * prime);
    let power = BigUint::from(65_537_u32).modpow(&BigUint::from(1_000_u32), &product);
    // Two bits at the top, as a product of two primes of half the length has.
    let times = (BigUint::from(3_u8) << 2046_u32) / &product + 1_u8;
    let has_small_factor = |number: &BigUint| (2_u32..1000).any(|by| number % by == BigUint::ZERO);
    let moduli = (0_u32..).map(|more| (&times + more) * &product + &power);
    let modulus = moduli.into_iter().find(|modulus| !has_small_factor(modulus)).expect("a number");
    assert_eq!(rsa(&modulus, 65_537), Err(WeakKey::Roca));
}

#[test]
fn points_that_are_on_no_curve_or_compressed_are_refused() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let mut bytes = key.subject_public_key_info();
    let last = bytes.last_mut().expect("a byte");
    *last ^= 1;
    assert_eq!(examine(&bytes), Err(WeakKey::NotOnCurve));
    let curve = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    let compressed = [&[2], &key.public_key_raw()[1..33]].concat();
    assert_eq!(examine(&info("1.2.840.10045.2.1", Some((&curve).into()), &compressed)), Err(WeakKey::NotOnCurve));
}

/// A key is known by the digest of its bytes: one that is blocked, or somebody else's, must not pass in another writing.
#[test]
fn a_key_has_one_writing() {
    let key = rsa_key(&modulus(2048), 65_537);
    assert_eq!(examine(&info(RSA, None, &key)), Err(WeakKey::Unreadable), "without NULL");
    assert_eq!(examine(&info(RSA, Some(AnyRef::NULL), &[&key[..], &[0]].concat())), Err(WeakKey::Unreadable));
    // 30 82 .. .. 02 82 01 01 00: another zero before the modulus.
    let mut longer = key.clone();
    longer.insert(8, 0);
    let of = |at: usize| u16::from_be_bytes([key[at], key[at + 1]]) + 1;
    longer[2..4].copy_from_slice(&of(2).to_be_bytes());
    longer[6..8].copy_from_slice(&of(6).to_be_bytes());
    assert_eq!(
        examine(&info(RSA, Some(AnyRef::NULL), &longer)),
        Err(WeakKey::Unreadable),
        "a number with a zero before it"
    );
    let mut bytes = info(RSA, Some(AnyRef::NULL), &key);
    bytes.push(0);
    assert_eq!(examine(&bytes), Err(WeakKey::Unreadable));
}
