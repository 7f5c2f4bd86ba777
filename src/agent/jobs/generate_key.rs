//! A key pair is made on the card and signs its own request; where the card attests its keys, that
//! goes with it.

use std::cell::RefCell;

use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SigningKey, SubjectPublicKeyInfo};
use sealwright_protocol::{Bytes, KeyAlgorithm, KeyRequest, Refusal, Report, Slot};

use crate::card::CardError;
use crate::fail_point;
use crate::job::{JobContext, JobFailure};

pub fn run(context: &mut JobContext<'_>, slot: Slot, algorithm: KeyAlgorithm) -> Result<Report, JobFailure> {
    let mut progress = context.progress();
    let public_key = match &progress.public_key {
        // Made before, and not yet reported: the same key goes on.
        Some(public_key) => public_key.0.clone(),
        None => {
            fail_point!("agent.generate.before");
            let public_key = context.write(|card, by| card.generate(by, slot, algorithm))?;
            fail_point!("agent.generate.after");
            progress.public_key = Some(Bytes(public_key.clone()));
            context.note(&progress)?;
            public_key
        }
    };
    let attestation = context.card.attestation(slot)?;
    let request = match request(context, slot, algorithm, &public_key) {
        Ok(csr) => KeyRequest::Signature { csr: Bytes(csr) },
        // Some cards do not sign with the key of key management (9D): the attestation speaks for
        // it.
        Err(JobFailure::Card(CardError::Status(status))) if attestation.is_some() => {
            tracing::info!(status, "the key does not sign; its attestation is sent");
            KeyRequest::Attestation { public_key: Bytes(public_key) }
        }
        Err(trouble) => return Err(trouble),
    };
    fail_point!("agent.generate.done");
    Ok(Report::Made { request, attestation })
}

/// A PKCS#10 request without a name: the portal takes names from the directory.
fn request(
    context: &mut JobContext<'_>,
    slot: Slot,
    algorithm: KeyAlgorithm,
    public_key: &[u8],
) -> Result<Vec<u8>, JobFailure> {
    let key = SubjectPublicKeyInfo::from_der(public_key).map_err(|_| JobFailure::Refused(Refusal::Card))?;
    let trouble = RefCell::new(None);
    let context = RefCell::new(context);
    let card = CardKey {
        key,
        sign: &|message| match context.borrow_mut().with_pin(|card, pin| card.sign(pin, slot, algorithm, message)) {
            Ok(signature) => Some(signature),
            Err(error) => {
                *trouble.borrow_mut() = Some(error);
                None
            }
        },
    };
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    match parameters.serialize_request(&card) {
        Ok(request) => Ok(request.der().to_vec()),
        Err(_) => Err(trouble.take().unwrap_or(JobFailure::Refused(Refusal::Card))),
    }
}

struct CardKey<'a> {
    key: SubjectPublicKeyInfo,
    sign: &'a dyn Fn(&[u8]) -> Option<Vec<u8>>,
}

impl PublicKeyData for CardKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl SigningKey for CardKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        (self.sign)(message).ok_or(rcgen::Error::RemoteKeyError)
    }
}
