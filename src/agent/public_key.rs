//! Public keys of a card as SubjectPublicKeyInfo, and the input of its signatures.

use aws_lc_rs::digest::{SHA256, SHA384, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicKeyComponents;
use sealwright_protocol::KeyAlgorithm;

/// SEQUENCE { SEQUENCE { id-ecPublicKey, curve }, BIT STRING … up to the point itself (RFC 5480).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P384_PREFIX: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x22, 0x03, 0x62, 0x00,
];

pub fn elliptic(algorithm: KeyAlgorithm, point: &[u8]) -> Option<Vec<u8>> {
    let (prefix, length): (&[u8], usize) = match algorithm {
        KeyAlgorithm::P256 => (&P256_PREFIX, 65),
        KeyAlgorithm::P384 => (&P384_PREFIX, 97),
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 => return None,
    };
    (point.len() == length && point.first() == Some(&4)).then(|| [prefix, point].concat())
}

pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let plain = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let components = PublicKeyComponents { n: plain(modulus), e: plain(exponent) };
    components.as_der().ok().map(|der| der.as_ref().to_vec())
}

/// DigestInfo of SHA-256 up to the hash (RFC 8017 section 9.2 note 1).
const SHA256_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// The DigestInfo that a token pads and signs with RSA.
pub fn digest_info(message: &[u8]) -> Vec<u8> {
    [SHA256_INFO.as_slice(), digest(&SHA256, message).as_ref()].concat()
}

/// A hash for an elliptic curve; a hash padded by PKCS#1 v1.5 for RSA, for cards do raw RSA.
pub fn to_sign(algorithm: KeyAlgorithm, message: &[u8]) -> Vec<u8> {
    let length = match algorithm {
        KeyAlgorithm::P256 => return digest(&SHA256, message).as_ref().to_vec(),
        KeyAlgorithm::P384 => return digest(&SHA384, message).as_ref().to_vec(),
        KeyAlgorithm::Rsa2048 => 256,
        KeyAlgorithm::Rsa3072 => 384,
    };
    let info = digest_info(message);
    let mut padded = vec![0x00, 0x01];
    padded.resize(length - info.len() - 1, 0xff);
    padded.push(0x00);
    padded.extend(info);
    padded
}
