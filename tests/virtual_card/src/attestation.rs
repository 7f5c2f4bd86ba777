//! ATTEST as Yubico's cards have it, with an authority of the test's own: the card's attestation key is signed by it, and signs for the keys
//! that the card has made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    SubjectPublicKeyInfo,
};
use sealwright_protocol::KeyAlgorithm;

#[path = "../../../src/agent/public_key.rs"]
#[expect(dead_code, reason = "the agent signs with it too")]
mod public_key;
#[path = "../../../src/agent/piv/tlv.rs"]
pub mod tlv;

/// Signs for the keys of one card.
pub struct Attestor {
    /// The card's attestation key and its certificate (DER).
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
    serial: u32,
    folder: PathBuf,
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = named(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Makes an authority in a folder: `authority.pem`, and `authority.key` for the cards.
pub fn make_authority(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = authority("Virtual card attestation root").self_signed(&key).map_err(failed)?;
    fs::write(folder.join("authority.key"), key.serialize_pem())?;
    fs::write(folder.join("authority.pem"), certificate.pem())
}

impl Attestor {
    /// A card's attestation key, made anew each time the card is put in: the authority signs for it.
    pub fn open(authority_folder: &Path, folder: &Path, serial: u32) -> io::Result<Self> {
        let key = KeyPair::from_pem(&fs::read_to_string(authority_folder.join("authority.key"))?).map_err(failed)?;
        let root = Issuer::new(authority("Virtual card attestation root"), key);
        let own = KeyPair::generate().map_err(failed)?;
        let parameters = authority("Yubico PIV Attestation");
        let certificate = parameters.signed_by(&own, &root).map_err(failed)?.der().to_vec();
        let issuer = Issuer::new(parameters, own);
        Ok(Self { issuer, certificate, serial, folder: folder.to_owned() })
    }

    /// The data object of the attestation key's certificate.
    pub fn object(&self) -> Vec<u8> {
        let content = [tlv::write(0x70, &self.certificate), tlv::write(0x71, &[0]), tlv::write(0xfe, &[])].concat();
        tlv::write(0x53, &content)
    }

    /// Remembers a key that was made: the answer of GENERATE.
    pub fn made(&self, slot: u8, command: &[u8], answer: &[u8]) {
        let kind = tlv::find(command, 0xac).and_then(|template| tlv::find(&template, 0x80));
        let algorithm = match kind.as_deref() {
            Some([0x05]) => KeyAlgorithm::Rsa3072,
            Some([0x07]) => KeyAlgorithm::Rsa2048,
            Some([0x11]) => KeyAlgorithm::P256,
            Some([0x14]) => KeyAlgorithm::P384,
            _ => return,
        };
        let Some(key) = tlv::find(answer, 0x7f49) else { return };
        let info = match algorithm.is_rsa() {
            true => tlv::find(&key, 0x81).zip(tlv::find(&key, 0x82)).and_then(|(n, e)| public_key::rsa(&n, &e)),
            false => tlv::find(&key, 0x86).and_then(|point| public_key::elliptic(algorithm, &point)),
        };
        if let Some(info) = info {
            fs::write(self.file(slot), info).expect("the card's folder can be written");
        }
    }

    /// The attestation (DER) of the key in a slot.
    pub fn attest(&self, slot: u8) -> Option<Vec<u8>> {
        let key = SubjectPublicKeyInfo::from_der(&fs::read(self.file(slot)).ok()?).ok()?;
        let mut parameters = named(&format!("YubiKey PIV Attestation {slot:02x}"));
        // Always the PIN for signatures (3), once for the others (2), never touch (1).
        let policy = if slot == 0x9c { 3 } else { 2 };
        let serial = [&[2, 4][..], &self.serial.to_be_bytes()].concat();
        let extension = |last: u64, content: Vec<u8>| {
            CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 41482, 3, last], content)
        };
        parameters.custom_extensions =
            vec![extension(3, vec![5, 4, 3]), extension(7, serial), extension(8, vec![policy, 1])];
        Some(parameters.signed_by(&key, &self.issuer).ok()?.der().to_vec())
    }

    fn file(&self, slot: u8) -> PathBuf {
        self.folder.join(format!("public-{slot:02x}.der"))
    }
}
