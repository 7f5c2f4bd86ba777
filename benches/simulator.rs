//! A person with a browser, an agent and a card that takes no time: the real protocol, with real keys and signatures.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, KeyPair};
use sealwright_protocol::{
    Bytes, Capabilities, CardFacts, FromAgent, FromPortal, Hello, Instruction, KeyProof, KeyRequest, Management,
    ManagementKey, ManagementKeyAlgorithm, PATH, Reader, Report, Slot, VERSION, comparison, key_test,
};
use sealwright_world::browser::Browser;
use sealwright_world::journey::{between, field, pick_role};
use sealwright_world::world::World;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Every card has a serial number of its own.
static SERIAL: AtomicU32 = AtomicU32::new(30_000_000);

/// How often somebody looks whether the page shows something new.
const LOOK: Duration = Duration::from_millis(20);

/// Somebody who personalizes one card after another, each in a session of its own, by way of connections that are kept, as a proxy does.
pub struct Person {
    agents: String,
    headers: reqwest::header::HeaderMap,
    browser: Browser,
}

/// A personalization that has ended.
pub struct Journey {
    pub instance: String,
}

impl Person {
    pub fn new(world: &World, number: usize) -> Self {
        let mut headers = reqwest::header::HeaderMap::new();
        let login = format!("person-{number}");
        headers.insert("X-Remote-User", login.parse().expect("a header"));
        headers.insert("X-Sealwright-Proxy", world.secret.parse().expect("a header"));
        let agents = format!("{}{PATH}", world.agent_url.replace("http://", "ws://"));
        // No certificate is read for connections without TLS.
        let client = reqwest::Client::builder().tls_certs_only([]).default_headers(headers.clone());
        let browser = Browser::with(&format!("http://{}", world.pages), client).expect("a browser");
        Self { agents, headers, browser }
    }

    /// The headers of a request in the last session.
    pub fn session(&self) -> String {
        let text = |name: &str| self.headers[name].to_str().expect("text").to_owned();
        format!(
            "X-Remote-User: {}\r\nX-Sealwright-Proxy: {}\r\nCookie: {}\r\n",
            text("X-Remote-User"),
            text("X-Sealwright-Proxy"),
            self.browser.cookie()
        )
    }

    /// What a personalization took while neither the card nor the person was waited for, as the portal's own record says, in milliseconds.
    pub async fn share_of_portal(&mut self, journey: &Journey) -> f64 {
        let view = self.browser.get(&format!("/api/v1/instances/{}", journey.instance)).await.expect("a view");
        let view: serde_json::Value = serde_json::from_str(&view).expect("JSON");
        view["times"]["portal_ms"].as_f64().expect("a time")
    }

    /// Signs in, picks a role, starts, pairs an agent, and waits for the end.
    pub async fn personalize(&mut self) -> Journey {
        let browser = &mut self.browser;
        browser.forget();
        let csrf = pick_role(browser, "user").await.expect("a role");
        let path = browser.post("/start/personalize", &[("csrf", &csrf)]).await.expect("begun");
        let code = loop {
            let page = browser.get(&path).await.expect("the page");
            if let Some(code) = between(&page, "<code class=\"code\">", "</code>") {
                break code;
            }
            tokio::time::sleep(LOOK).await;
        };
        let mut agent = Agent::pair(&self.agents, &code).await;
        let pairing = loop {
            let page = browser.get(&path).await.expect("the page");
            if let Some(pairing) = field(&page, "pairing") {
                break pairing;
            }
            tokio::time::sleep(LOOK).await;
        };
        browser.post(&format!("{path}/confirm"), &[("csrf", &csrf), ("pairing", &pairing)]).await.expect("confirmed");
        agent.work().await;
        Journey { instance: path.trim_start_matches("/instances/").to_owned() }
    }
}

struct Agent {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    serial: String,
    /// The keys on the card, by slot.
    keys: Vec<(Slot, KeyPair)>,
}

impl Agent {
    async fn pair(url: &str, code: &str) -> Self {
        // As the agent does: small messages are not held back.
        let (socket, _) = connect_async_with_config(url, None, true).await.expect("a connection");
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed).to_string();
        let mut agent = Self { socket, serial, keys: Vec::new() };
        let own = Ed25519KeyPair::generate().expect("a key");
        let (key, nonce) = (own.public_key().as_ref().to_vec(), vec![7; 32]);
        let hello = FromAgent::Hello(Hello {
            protocol: VERSION,
            agent: "simulator".to_owned(),
            host: "bench".to_owned(),
            key: Bytes(key.clone()),
            capabilities: Capabilities::known(),
        });
        agent.send(&hello).await;
        let commitment = digest(&SHA256, &comparison::commitment_input(&key, &nonce)).as_ref().to_vec();
        let readers = vec![Reader { name: "simulated".to_owned(), card: Some(agent.serial.clone()) }];
        agent.send(&FromAgent::Redeem { code: code.to_owned(), commitment: Bytes(commitment), readers }).await;
        let FromPortal::Offer { .. } = agent.receive().await else { panic!("no offer") };
        agent.send(&FromAgent::Reveal { nonce: Bytes(nonce) }).await;
        agent.send(&FromAgent::Confirm).await;
        agent
    }

    /// Does jobs until the portal says that all is done.
    async fn work(&mut self) {
        loop {
            match self.receive().await {
                FromPortal::Job { job, instruction, .. } => {
                    let report = self.perform(&job, instruction).await;
                    self.send(&FromAgent::Report { job, report }).await;
                }
                FromPortal::Finished { success, say } => {
                    assert!(success, "{say}");
                    return;
                }
                FromPortal::Refused { say } => panic!("{say}"),
                _ => {}
            }
        }
    }

    async fn perform(&mut self, job: &str, instruction: Instruction) -> Report {
        match instruction {
            Instruction::Identify => Report::Identified(CardFacts {
                reader: "simulated".to_owned(),
                serial: self.serial.clone(),
                version: Some("5.7.1".to_owned()),
                management: Management::ManagementKey {
                    algorithm: ManagementKeyAlgorithm::Aes256,
                    is_factory: true,
                    authentication: None,
                },
                pin_tries: Some(3),
                certificates: Vec::new(),
            }),
            Instruction::ReplaceFactorySecrets { .. } => {
                self.authenticate(job, ManagementKey::Factory).await;
                Report::Replaced
            }
            Instruction::GenerateKeyAndCsr { slot, .. } => {
                self.authenticate(job, ManagementKey::Own).await;
                let key = KeyPair::generate().expect("a key");
                let request = CertificateParams::default().serialize_request(&key).expect("a request");
                self.keys.push((slot, key));
                let request = KeyRequest::Signature { csr: Bytes(request.der().to_vec()) };
                Report::Made { request, attestation: None }
            }
            Instruction::InstallCertificate { slot, test, .. } => {
                self.authenticate(job, ManagementKey::Own).await;
                let (_, key) = self.keys.iter().find(|(of, _)| *of == slot).expect("a key");
                let key =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.serialized_der()).expect("a key");
                let text = key_test(&test.portal, &self.serial, slot, &test.nonce);
                let signature = key.sign(&SystemRandom::new(), text.as_bytes()).expect("a signature");
                Report::Installed { proof: Ok(KeyProof::Signature { signature: Bytes(signature.as_ref().to_vec()) }) }
            }
        }
    }

    /// The card asks the portal for its management key's answer, as a real one does.
    async fn authenticate(&mut self, job: &str, key: ManagementKey) {
        let algorithm = ManagementKeyAlgorithm::Aes256;
        let relay = FromAgent::Relay {
            job: job.to_owned(),
            serial: self.serial.clone(),
            key,
            algorithm,
            witness: Bytes(vec![9; algorithm.block()]),
        };
        self.send(&relay).await;
        loop {
            match self.receive().await {
                FromPortal::RelayAnswer { .. } => return,
                FromPortal::Refused { say } => panic!("{say}"),
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: &FromAgent) {
        let text = serde_json::to_string(message).expect("JSON");
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    async fn receive(&mut self) -> FromPortal {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("a message"),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("the portal hung up: {other:?}"),
            }
        }
    }
}
