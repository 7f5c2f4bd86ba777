//! Handshake of an agent and the portal: by a code and a number that a person compares, or by the key of an earlier pairing.

use std::cmp::Ordering;
use std::time::Duration;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use sealwright_protocol::{Bytes, Capabilities, FromAgent, FromPortal, Hello, MAXIMUM_HELLO, RESUME_CONTEXT, VERSION};
use serde::Deserialize;
use uuid::Uuid;

use super::{Channel, Close, TICK, receive, receive_text, refused};
use crate::audit::{self, Event};
use crate::cards::pairing::{self, PairingState};
use crate::cards::pairings::{AgentFacts, PairingRecord};
use crate::desk::instances;
use crate::engine::{EngineError, Listener};
use crate::random;

/// How long an agent may take to say who it is: it has that ready when it connects.
const GREETING: Duration = Duration::from_secs(30);
/// The longest name of an agent or of its computer, in characters.
const LONGEST_NAME: usize = 64;

impl Channel {
    /// Pairs a new agent, or lets a known one go on.
    pub(super) async fn handshake(&mut self) -> Result<PairingRecord, Close> {
        let hello = receive_text(&mut self.stream, &mut self.session);
        let hello = tokio::time::timeout(GREETING, hello).await.map_err(|_| Close::Gone)??;
        if let Some(say) = spoken_version(&hello).and_then(other_version) {
            return Err(Close::Message(Box::new(refused(&say))));
        }
        if hello.len() > MAXIMUM_HELLO {
            return Err(Close::Protocol);
        }
        let Ok(FromAgent::Hello(Hello { agent, host, key, capabilities, .. })) = serde_json::from_str(&hello) else {
            return Err(Close::Protocol);
        };
        self.capabilities = Capabilities::known().shared(&capabilities);
        let [agent, host] = [agent, host].map(|name| plain_name(&name));
        tracing::info!(request = self.origin.request, agent, host, "an agent connected");
        let row = match self.receive().await? {
            FromAgent::Redeem { code, commitment, readers } => {
                self.pair(&code, &host, &key, &commitment, &readers).await?
            }
            FromAgent::Resume { pairing } => self.resume(&pairing, &host).await?,
            _ => return Err(Close::Protocol),
        };
        self.send(&FromPortal::Paired).await?;
        Ok(row)
    }

    async fn pair(
        &mut self,
        code: &str,
        host: &str,
        key: &Bytes,
        commitment: &Bytes,
        readers: &[sealwright_protocol::Reader],
    ) -> Result<PairingRecord, Close> {
        let plain = |text: &str| text.chars().count() <= 128 && !text.chars().any(char::is_control);
        let readable = readers.iter().all(|reader| plain(&reader.name) && reader.card.as_deref().is_none_or(plain));
        if key.0.len() != 32 || commitment.0.len() != 32 || readers.len() > 32 || !readable || code.len() > 64 {
            return Err(Close::Protocol);
        }
        let row = self.portal.pairings.check(code, &key.0, &self.origin).await?;
        let nonce = random::bytes::<32>().map_err(|_| Close::Protocol)?;
        let purpose = instances::title(&self.portal.engine, row.root).await?.ok_or(Close::Protocol)?;
        let offer = FromPortal::Offer {
            pairing: row.id.to_string(),
            portal: self.portal.configuration.name.clone(),
            person: row.login.clone(),
            purpose,
            nonce: Bytes(nonce.to_vec()),
            capabilities: self.capabilities.clone(),
        };
        self.send(&offer).await?;
        let FromAgent::Reveal { nonce: revealed } = self.receive().await? else { return Err(Close::Protocol) };
        if pairing::commitment(&key.0, &revealed.0) != commitment.0 {
            self.portal
                .pairings
                .record_refusal(&self.origin, Some(row.root), "commitment")
                .await
                .map_err(EngineError::from)?;
            return Err(Close::Protocol);
        }
        let number = pairing::number(&row.id.to_string(), &key.0, &revealed.0, &nonce);
        let agent = AgentFacts { host: host.to_owned(), key: key.0.clone(), readers: readers.to_vec(), number };
        self.portal.pairings.redeem(row.id, agent, &self.origin).await?;
        self.portal.engine.announce(row.root);
        let FromAgent::Confirm = self.receive().await? else { return Err(Close::Protocol) };
        // Before it is read the last time: the page may confirm at the same moment.
        let listener = self.portal.engine.listen(row.root);
        let row = self.portal.pairings.confirm_by_agent(row.id, &self.origin).await?;
        self.portal.engine.announce(row.root);
        self.confirmed(row, listener).await
    }

    /// Waits until the page has confirmed too.
    async fn confirmed(&mut self, mut row: PairingRecord, mut listener: Listener) -> Result<PairingRecord, Close> {
        while row.state != PairingState::Confirmed {
            if row.state == PairingState::Ended || row.expires_at < self.portal.clock.now_ms() {
                return Err(Close::Message(Box::new(refused(
                    "The number was not confirmed on the page in time. Nothing was done.",
                ))));
            }
            tokio::select! {
                message = receive(&mut self.stream, &mut self.session) => { message?; return Err(Close::Protocol) }
                () = listener.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            self.ping().await?;
            row = self.portal.pairings.find(row.id).await?.ok_or(Close::Protocol)?;
        }
        Ok(row)
    }

    async fn resume(&mut self, id: &str, host: &str) -> Result<PairingRecord, Close> {
        let over = || Close::Message(Box::new(refused("This pairing is over. Reload the page and use a new code.")));
        let id: Uuid = id.parse().map_err(|_| Close::Protocol)?;
        let nonce = random::bytes::<32>().map_err(|_| Close::Protocol)?;
        let challenge = FromPortal::Challenge { nonce: Bytes(nonce.to_vec()), capabilities: self.capabilities.clone() };
        self.send(&challenge).await?;
        let FromAgent::Proof { signature } = self.receive().await? else { return Err(Close::Protocol) };
        // Read once to know whom to listen for, and then for what it is: the page may confirm at the same moment.
        let root = self.portal.pairings.find(id).await?.ok_or_else(over)?.root;
        let listener = self.portal.engine.listen(root);
        let row = self.portal.pairings.find(id).await?.ok_or_else(over)?;
        if row.state == PairingState::Ended {
            return Err(over());
        }
        let key = row.agent_key.clone().ok_or_else(over)?;
        let message = [RESUME_CONTEXT.as_bytes(), id.to_string().as_bytes(), &nonce].concat();
        if UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature.0).is_err() {
            self.portal
                .pairings
                .record_refusal(&self.origin, Some(root), "signature")
                .await
                .map_err(EngineError::from)?;
            return Err(over());
        }
        // The confirmation may have been lost with the connection; who signs has confirmed.
        let row =
            if row.confirmed_by_agent { row } else { self.portal.pairings.confirm_by_agent(id, &self.origin).await? };
        self.portal.engine.announce(row.root);
        let row = self.confirmed(row, listener).await?;
        let row = self.portal.pairings.hold(row.id, &self.origin).await?;
        let now = self.portal.clock.now_ms();
        let event = Event::AgentResumed { host: host.to_owned() };
        audit::record_alone(&self.portal.store, self.origin.clone(), Some(row.root), now, event)
            .await
            .map_err(EngineError::from)?;
        Ok(row)
    }
}

/// A name as it is kept and shown.
fn plain_name(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(LONGEST_NAME).collect()
}

/// The version that somebody's first message names, whatever else it says: a newer agent may say more than is known here.
fn spoken_version(hello: &str) -> Option<u32> {
    #[derive(Deserialize)]
    struct Hello {
        protocol: u32,
    }
    serde_json::from_str::<Hello>(hello).ok().map(|hello| hello.protocol)
}

/// What a person does about an agent that does not speak as the portal does.
fn other_version(spoken: u32) -> Option<String> {
    let versions = format!("The portal speaks version {VERSION} of the protocol, this agent speaks {spoken}.");
    match spoken.cmp(&VERSION) {
        Ordering::Equal => None,
        Ordering::Less => Some(format!("{versions} Update the agent.")),
        Ordering::Greater => {
            Some(format!("{versions} The agent is newer: use an older one until the portal is updated."))
        }
    }
}
