//! Handshake of an agent and the portal: by a code and a number that a person compares, or by the key of an earlier pairing.

use std::cmp::Ordering;
use std::time::Duration;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use sealwright_protocol::{
    Bytes, Capabilities, Capability, FromAgent, FromPortal, Hello, MAXIMUM_HELLO, RESUME_CONTEXT, VERSION,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Channel, Close, TICK, are_readable, receive, receive_text, refused};
use crate::audit::{self, Event};
use crate::cards::pairing::{self, PairingState};
use crate::cards::pairings::{AgentFacts, Held, PairingEnd, PairingRecord};
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
        let hello = receive_text(&mut self.stream, &mut self.session, &mut self.heard);
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
        if key.0.len() != 32 || commitment.0.len() != 32 || !are_readable(readers) || code.len() > 64 {
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
        let capabilities = self.capabilities.clone();
        let (host, key, readers) = (host.to_owned(), key.0.clone(), readers.to_vec());
        let agent = AgentFacts { host, key, readers, number, capabilities };
        // Before the number is shown: the page may answer at the same moment.
        let mut listener = self.portal.engine.listen(row.root);
        let row = self.portal.pairings.redeem(row.id, agent, &self.origin).await?;
        let held = Held::from(&row);
        self.held = Some(held);
        self.portal.engine.announce(row.root);
        self.answered(held, &mut listener).await?;
        let row = self.portal.pairings.confirm_by_agent(row.id, &self.origin).await?;
        self.portal.engine.announce(row.root);
        self.confirmed(held, row, listener).await
    }

    /// Waits until the person at the agent has confirmed the number; the page may start over meanwhile.
    async fn answered(&mut self, held: Held, listener: &mut Listener) -> Result<(), Close> {
        loop {
            tokio::select! {
                message = receive(&mut self.stream, &mut self.session, &mut self.heard) => {
                    return match message? {
                        FromAgent::Confirm => Ok(()),
                        FromAgent::Decline if self.capabilities.has(Capability::Decline) => {
                            self.end = PairingEnd::Declined;
                            let (origin, root) = (&self.origin, Some(held.root));
                            let recorded = self.portal.pairings.record_refusal(origin, root, "declined").await;
                            recorded.map_err(EngineError::from)?;
                            Err(Close::Gone)
                        }
                        _ => Err(Close::Protocol),
                    };
                }
                () = listener.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            self.ping().await?;
            let row = self.portal.pairings.find(held.pairing).await?.ok_or(Close::Protocol)?;
            self.is_open(held, &row)?;
        }
    }

    /// Waits until the page has confirmed too.
    async fn confirmed(
        &mut self,
        held: Held,
        mut row: PairingRecord,
        mut listener: Listener,
    ) -> Result<PairingRecord, Close> {
        while row.state != PairingState::Confirmed {
            self.is_open(held, &row)?;
            tokio::select! {
                message = receive(&mut self.stream, &mut self.session, &mut self.heard) => {
                    message?;
                    return Err(Close::Protocol);
                }
                () = listener.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            self.ping().await?;
            row = self.portal.pairings.find(row.id).await?.ok_or(Close::Protocol)?;
        }
        if row.epoch == held.epoch { Ok(row) } else { Err(taken_over()) }
    }

    /// Whether the page may still confirm; else the reason, for the person at the agent.
    fn is_open(&self, held: Held, row: &PairingRecord) -> Result<(), Close> {
        if row.epoch != held.epoch {
            return Err(taken_over());
        }
        if row.state == PairingState::Ended {
            return Err(started_over());
        }
        if row.expires_at < self.portal.clock.now_ms() {
            return Err(Close::Message(Box::new(refused(
                "The number was not confirmed on both sides within ten minutes. Nothing was done. Use a new code.",
            ))));
        }
        Ok(())
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
        if row.state == PairingState::Ended && row.ended_by != Some(PairingEnd::Broken) {
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
        // The confirmation may have been lost with the connection; an agent that signs has confirmed.
        let row = self.portal.pairings.hold(id, self.capabilities.clone(), &self.origin).await?;
        let held = Held::from(&row);
        self.held = Some(held);
        self.portal.engine.announce(row.root);
        let row = self.confirmed(held, row, listener).await?;
        let now = self.portal.clock.now_ms();
        let event = Event::AgentResumed { host: host.to_owned() };
        audit::record_alone(&self.portal.store, self.origin.clone(), Some(row.root), now, event)
            .await
            .map_err(EngineError::from)?;
        Ok(row)
    }
}

/// The page has asked for another code while the pairing was open.
fn started_over() -> Close {
    Close::Message(Box::new(refused("The page has started over with a new code. Nothing was done.")))
}

/// The same agent was started a second time.
pub(super) fn taken_over() -> Close {
    Close::Message(Box::new(refused("Another run of this agent has taken over. This one ends.")))
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
