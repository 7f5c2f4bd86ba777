//! A card that keeps its keys in memory, and the agent that does the portal's jobs with it. Keys and signatures are real;
//! wire, reader and PIN pad are left out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rcgen::{CertificateParams, KeyPair};
use sealwright_protocol::{
    Bytes, Capabilities, CardFacts, FactorySecrets, Instruction, KeyProof, KeyRequest, Management,
    ManagementKeyAlgorithm, Reader, Refusal, Report, Secret, Slot, key_test,
};
use serde_json::Value;
use uuid::Uuid;

use crate::audit::Origin;
use crate::cards::management_key;
use crate::cards::pairing::PairingState;
use crate::cards::pairings::AgentFacts;
use crate::engine::EngineError;
use crate::portal::Portal;
use crate::store::jobs::{self, Holder, JobRecord};
use crate::store::pairings::PairingRecord;

const ALGORITHM: ManagementKeyAlgorithm = ManagementKeyAlgorithm::Aes256;
const READER: &str = "simulated reader";

/// A PIV card with P-256 keys. It outlives agents and nodes.
pub struct SimulatedCard {
    serial: String,
    state: Mutex<CardState>,
}

#[derive(Default)]
struct CardState {
    management_key: Option<Secret>,
    keys: BTreeMap<Slot, KeyPair>,
    certificates: BTreeMap<Slot, Bytes>,
    refusal: Option<Refusal>,
}

impl SimulatedCard {
    pub fn new(serial: &str) -> Self {
        Self { serial: serial.to_owned(), state: Mutex::default() }
    }

    /// The card refuses every job from now on, or none.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        self.state().refusal = refusal;
    }

    /// Makes a key in a slot, as `generate-key-and-csr` does; gives the request, DER.
    pub fn make_key(&self, slot: Slot) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        let request = CertificateParams::default().serialize_request(&key).expect("a request");
        self.state().keys.insert(slot, key);
        request.der().to_vec()
    }

    /// The slots that hold a certificate.
    pub fn slots(&self) -> Vec<&'static str> {
        self.state().certificates.keys().map(|slot| slot.as_str()).collect()
    }

    fn state(&self) -> MutexGuard<'_, CardState> {
        self.state.lock().expect("a card that has not panicked")
    }

    fn perform(&self, instruction: Instruction, nonce: Option<&Bytes>) -> Report {
        let mut state = self.state();
        if let Some(reason) = state.refusal {
            return Report::Refused { reason };
        }
        match instruction {
            Instruction::Identify => {
                let authentication = state.management_key.as_ref().zip(nonce).and_then(|(key, nonce)| {
                    management_key::respond(ALGORITHM, key.reveal(), &nonce.0).ok().map(Bytes)
                });
                Report::Identified(CardFacts {
                    reader: READER.to_owned(),
                    serial: self.serial.clone(),
                    version: Some("5.7.1".to_owned()),
                    management: Management::ManagementKey {
                        algorithm: ALGORITHM,
                        is_factory: state.management_key.is_none(),
                        authentication,
                    },
                    pin_tries: Some(3),
                    certificates: state.certificates.iter().map(|(slot, der)| (*slot, der.clone())).collect(),
                })
            }
            Instruction::ReplaceFactorySecrets { secrets, .. } => {
                let FactorySecrets::Piv { management_key, .. } = secrets else { panic!("secrets of another card") };
                state.management_key = Some(management_key);
                Report::Replaced
            }
            Instruction::GenerateKeyAndCsr { slot, .. } => {
                drop(state);
                let request = KeyRequest::Signature { csr: Bytes(self.make_key(slot)) };
                Report::Made { request, attestation: None }
            }
            Instruction::InstallCertificate { slot, certificate, test } => {
                state.certificates.insert(slot, certificate);
                let key = state.keys.get(&slot).expect("a key").serialized_der();
                let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key).expect("a key");
                let text = key_test(&test.portal, &self.serial, slot, &test.nonce);
                let signature = key.sign(&SystemRandom::new(), text.as_bytes()).expect("a signature");
                let signature = Bytes(signature.as_ref().to_vec());
                Report::Installed { proof: Ok(KeyProof::Signature { signature }) }
            }
        }
    }
}

/// One run of the agent with a node; it pairs, or resumes the pairing of the run before.
pub struct Agent {
    portal: Portal,
    card: Arc<SimulatedCard>,
    pairing: Option<PairingRecord>,
}

impl Agent {
    pub fn new(portal: &Portal, card: Arc<SimulatedCard>) -> Self {
        Self { portal: portal.clone(), card, pairing: None }
    }

    /// Does the jobs that wait for the card; tells whether there was one.
    pub async fn work(&mut self, root: Uuid, login: &str) -> bool {
        let origin = Origin { login: Some(login.to_owned()), ..Origin::system("agent") };
        let pairing = match &self.pairing {
            Some(pairing) => pairing.clone(),
            None => self.pair(root, login, &origin).await,
        };
        let holder = Holder { pairing: pairing.id, epoch: pairing.epoch, root };
        self.pairing = Some(pairing);
        let (_, queued) = jobs::outlook(self.portal.store.read(), holder).await.expect("jobs");
        for job in &queued {
            let instruction = match self.portal.engine.instruction(&job.row).await {
                Ok(instruction) => instruction,
                Err(EngineError::Activity(_)) => return false,
                Err(error) => panic!("{error}"),
            };
            let report = self.card.perform(instruction, nonce(&job.row).as_ref());
            // Twice, as after a lost connection: the second report changes nothing.
            for _ in 0..2 {
                match self.portal.engine.report(holder, origin.clone(), &job.row, report.clone()).await {
                    Ok(()) | Err(EngineError::Fenced) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        !queued.is_empty()
    }

    async fn pair(&self, root: Uuid, login: &str, origin: &Origin) -> PairingRecord {
        let pairings = &self.portal.pairings;
        let known = pairings.latest(root).await.expect("pairings");
        if let Some(known) = known.filter(|row| row.state == PairingState::Confirmed) {
            return pairings.hold(known.id, Capabilities::known(), origin).await.expect("resumed");
        }

        let code = pairings.code_for(root, "session", "cookie", login);
        let id = code.id;
        pairings.offer(code, origin).await.expect("offered");
        let readers = vec![Reader { name: READER.to_owned(), card: Some(self.card.serial.clone()) }];
        let (host, number, capabilities) = ("host".to_owned(), "123456".to_owned(), Capabilities::known());
        let agent = AgentFacts { host, key: vec![7; 32], readers, number, capabilities };
        pairings.redeem(id, agent, origin).await.expect("redeemed");
        pairings.confirm_by_person(id, root, "session", origin).await.expect("confirmed");
        pairings.confirm_by_agent(id, origin).await.expect("confirmed")
    }
}

/// The job's nonce, which the portal's challenge to the card begins with.
fn nonce(job: &JobRecord) -> Option<Bytes> {
    serde_json::from_value(job.plan.get("nonce").cloned().unwrap_or(Value::Null)).ok()
}
