//! The life of a pairing in the database: offered, redeemed, confirmed from both sides, ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sealwright_protocol::{Capabilities, Reader};
use uuid::Uuid;

use super::pairing::{self, Code, LIFETIME, PairingState};
use super::presence;
use crate::audit::{self, Event, Origin, Refusals};
use crate::clock::Clock;
use crate::fail_point;
use crate::random;
use crate::store::jobs::Holder;
use crate::store::{Store, StoreError, Tx, WriteError, pairings};

pub use super::presence::{Held, Presence, REFRESH};
pub use crate::store::pairings::{PairingEnd, PairingRecord};

/// Wrong codes within ten minutes: of one agent, and of all together.
const TRIES: usize = 5;
const TRIES_OF_ALL: usize = 100;

/// Why a code or a pairing is refused.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there is no such code")]
    Unknown,
    #[error("the code is over ten minutes old")]
    Expired,
    #[error("the code was used before")]
    Used,
    #[error("too many wrong codes")]
    Limited,
    #[error("the pairing is over")]
    Ended,
    #[error("this is another person's page")]
    OtherPerson,
}

impl WriteError for PairingError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl PairingError {
    /// What the person at the agent reads.
    pub fn say(&self) -> &'static str {
        match self {
            Self::Unknown => "The portal does not know this code. Copy it from the page again.",
            Self::Expired => "This code is too old. Reload the page and use the new one.",
            Self::Used => "This code was used before. Reload the page and use the new one.",
            Self::Limited => "There were too many wrong codes. Wait ten minutes and try again.",
            Self::Ended | Self::OtherPerson => "This pairing is over. Reload the page and use a new code.",
            Self::Store(_) => "The portal cannot answer now. Try again in a minute.",
        }
    }

    fn why(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Used => "used",
            Self::Limited => "limited",
            Self::Ended => "ended",
            Self::OtherPerson => "other-person",
            Self::Store(_) => "store",
        }
    }
}

/// What is learned of an agent when it redeems a code.
#[derive(Clone, Debug)]
pub struct AgentFacts {
    pub host: String,
    /// Its Ed25519 public key.
    pub key: Vec<u8>,
    pub readers: Vec<Reader>,
    /// The six digits that it shows.
    pub number: String,
    /// Capabilities that it shares with this release.
    pub capabilities: Capabilities,
}

/// The agent of a pairing, as the jobs that it may do are looked for.
pub fn holder(row: &PairingRecord) -> Holder {
    Holder { pairing: row.id, epoch: row.epoch, root: row.root }
}

/// Writes an offer in the transaction of something else, such as the start that will need a card.
///
/// # Errors
/// [`StoreError`].
pub async fn offer_in(tx: &Tx, code: PairingRecord, origin: &Origin) -> Result<(), StoreError> {
    let (root, at) = (code.root, code.created_at);
    // Lock: the later of two codes that are offered at once ends the other.
    tx.lock(&format!("codes {root}")).await?;
    pairings::end_others(tx, root, code.id).await?;
    pairings::insert(tx, code).await?;
    audit::record(tx, origin, Some(root), at, &Event::CodeOffered)
}

/// Pairings of one portal. Cheap to clone.
#[derive(Clone)]
pub struct Pairings {
    store: Store,
    clock: Arc<dyn Clock>,
    node: Arc<str>,
    wrong: Arc<Mutex<HashMap<Vec<u8>, Vec<i64>>>>,
    /// When agents were refused that are not what they say.
    refused: Refusals,
}

impl Pairings {
    pub fn new(store: Store, clock: Arc<dyn Clock>, node: &str, refused: Refusals) -> Self {
        Self { store, clock, node: Arc::from(node), wrong: Arc::default(), refused }
    }

    /// A new code for a root and a browser session, not yet written.
    pub fn code_for(&self, root: Uuid, session: &str, cookie: &str, login: &str) -> PairingRecord {
        let now = self.clock.now_ms();
        let id = random::id();
        let code = Code::derive(cookie, id);
        PairingRecord {
            id,
            root,
            session: session.to_owned(),
            login: login.to_owned(),
            code_hash: pairing::digest(&code.long),
            short_code_hash: pairing::digest(&code.short),
            expires_at: now + LIFETIME,
            state: PairingState::Offered,
            host: None,
            agent_key: None,
            readers: None,
            number: None,
            confirmed_by_person: false,
            confirmed_by_agent: false,
            epoch: 0,
            node: None,
            created_at: now,
            seen_at: None,
            gone_at: None,
            ended_by: None,
            capabilities: None,
        }
    }

    /// Offers a new code; the ones before are over.
    ///
    /// # Errors
    /// [`PairingError::Store`].
    pub async fn offer(&self, code: PairingRecord, origin: &Origin) -> Result<(), PairingError> {
        let origin = origin.clone();
        let offered = self.store.write::<_, StoreError, _, _>(move |tx| {
            let (code, origin) = (code.clone(), origin.clone());
            async move { offer_in(&tx, code, &origin).await }
        });
        Ok(offered.await?)
    }

    /// Looks whether a code is good. Grants nothing and uses nothing up.
    ///
    /// # Errors
    /// [`PairingError`]; refusals are audited.
    pub async fn check(&self, code: &str, agent_key: &[u8], origin: &Origin) -> Result<PairingRecord, PairingError> {
        // Only what somebody may type can be guessed: the link's 128 bits are never refused for what others did.
        let is_short = pairing::is_short(code);
        let checked = if is_short && self.is_limited(agent_key) {
            Err(PairingError::Limited)
        } else {
            let row = pairings::find_by_code(self.store.read(), &pairing::digest(code)).await?;
            row.ok_or(PairingError::Unknown).and_then(|row| self.is_good(&row).map(|()| row))
        };
        if let Err(error) = &checked {
            let now = self.clock.now_ms();
            let (why, origin) = (error.why(), origin.clone());
            let event = Event::CodeRefused { why };
            match error {
                // Said once by the wrong codes before it: what is refused without a look is no row of its own.
                PairingError::Limited => {}
                PairingError::Unknown if is_short => {
                    self.note_wrong(agent_key);
                    audit::record_alone(&self.store, origin, None, now, event).await?;
                }
                // Nothing else bounds how often these are sent; they are no try to guess what somebody types.
                _ => self.refused.record(&self.store, origin, None, now, why, event).await?,
            }
        }
        checked
    }

    /// Writes down that an agent is not the one that it says, or no agent at all: any web page can be that, so not all of them are rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_refusal(
        &self,
        origin: &Origin,
        root: Option<Uuid>,
        why: &'static str,
    ) -> Result<(), StoreError> {
        let now = self.clock.now_ms();
        let event = Event::AgentRefused { why };
        self.refused.record(&self.store, origin.clone(), root, now, why, event).await
    }

    fn is_good(&self, row: &PairingRecord) -> Result<(), PairingError> {
        if row.state != PairingState::Offered {
            return Err(PairingError::Used);
        }
        // One of a clock that was ahead would be good for longer than ten minutes.
        let now = self.clock.now_ms();
        if row.expires_at < now || now < row.expires_at - LIFETIME {
            return Err(PairingError::Expired);
        }
        Ok(())
    }

    /// Uses a code up: the agent is known, the number can be compared. Grants nothing yet.
    ///
    /// # Errors
    /// [`PairingError::Used`] when another agent was quicker.
    pub async fn redeem(&self, id: Uuid, agent: AgentFacts, origin: &Origin) -> Result<PairingRecord, PairingError> {
        let (pairings, node) = (self.clone(), self.node.to_string());
        self.change(id, origin, move |row| {
            pairings.is_good(row)?;
            row.state = PairingState::Redeemed;
            row.host = Some(agent.host.clone());
            row.agent_key = Some(agent.key.clone());
            row.readers = serde_json::to_value(&agent.readers).ok();
            row.number = Some(agent.number.clone());
            pairings.connect(row, &node, &agent.capabilities);
            Ok(())
        })
        .await
    }

    /// Notes a new connection of the agent; an older one is fenced off.
    fn connect(&self, row: &mut PairingRecord, node: &str, capabilities: &Capabilities) {
        row.epoch += 1;
        row.node = Some(node.to_owned());
        row.seen_at = Some(self.clock.now_ms());
        row.gone_at = None;
        row.capabilities = serde_json::to_value(capabilities).ok();
    }

    /// The person at the page has compared the numbers of this pairing, the one that the page has shown.
    ///
    /// # Errors
    /// [`PairingError`] when it is another person's page, or the pairing is over.
    pub async fn confirm_by_person(
        &self,
        id: Uuid,
        root: Uuid,
        session: &str,
        origin: &Origin,
    ) -> Result<(), PairingError> {
        let (login, session) = (origin.login.clone(), session.to_owned());
        self.change(id, origin, move |row| {
            if row.root != root || Some(&row.login) != login.as_ref() || row.session != session {
                return Err(PairingError::OtherPerson);
            }
            if row.number.is_none() {
                return Err(PairingError::Ended);
            }
            row.confirmed_by_person = true;
            Ok(())
        })
        .await
        .map(drop)
    }

    /// The person at the agent has compared the numbers.
    ///
    /// # Errors
    /// [`PairingError::Ended`].
    pub async fn confirm_by_agent(&self, id: Uuid, origin: &Origin) -> Result<PairingRecord, PairingError> {
        self.change(id, origin, |row| {
            row.confirmed_by_agent = true;
            Ok(())
        })
        .await
    }

    /// An agent that comes back, and has signed, holds the pairing from here on; an older session of it is fenced off. Its
    /// confirmation may have been lost with a connection, which ended the pairing: it counts now.
    ///
    /// # Errors
    /// [`PairingError::Ended`].
    pub async fn hold(
        &self,
        id: Uuid,
        capabilities: Capabilities,
        origin: &Origin,
    ) -> Result<PairingRecord, PairingError> {
        let (pairings, node) = (self.clone(), self.node.to_string());
        self.change_even_if_broken(id, origin, move |row| {
            if row.state == PairingState::Ended {
                row.state = PairingState::Redeemed;
                row.ended_by = None;
            }
            row.confirmed_by_agent = true;
            pairings.connect(row, &node, &capabilities);
            Ok(())
        })
        .await
    }

    /// Refreshes the lease of a connection, with the readers if they have changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn seen(&self, held: Held, readers: Option<&[Reader]>) -> Result<(), StoreError> {
        presence::refresh(&self.store, self.clock.now_ms(), held, readers).await
    }

    /// The connection of an agent has ended; a pairing that the agent has not confirmed ends with it. Returns whether the
    /// pairing has changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leave(&self, held: Held, end: PairingEnd) -> Result<bool, StoreError> {
        presence::leave(&self.store, self.clock.now_ms(), held, end).await
    }

    /// # Errors
    /// [`PairingError::Store`].
    pub async fn find(&self, id: Uuid) -> Result<Option<PairingRecord>, PairingError> {
        Ok(pairings::find(self.store.read(), id).await?)
    }

    /// The newest pairing of a root.
    ///
    /// # Errors
    /// [`PairingError::Store`].
    pub async fn latest(&self, root: Uuid) -> Result<Option<PairingRecord>, PairingError> {
        Ok(pairings::latest(self.store.read(), root).await?)
    }

    async fn change(
        &self,
        id: Uuid,
        origin: &Origin,
        change: impl Fn(&mut PairingRecord) -> Result<(), PairingError> + Send + Sync + 'static,
    ) -> Result<PairingRecord, PairingError> {
        self.change_even_if_broken(id, origin, move |row| {
            if row.state == PairingState::Ended { Err(PairingError::Ended) } else { change(row) }
        })
        .await
    }

    /// Changes a pairing that is not over, or that ended with a broken connection.
    async fn change_even_if_broken(
        &self,
        id: Uuid,
        origin: &Origin,
        change: impl Fn(&mut PairingRecord) -> Result<(), PairingError> + Send + Sync + 'static,
    ) -> Result<PairingRecord, PairingError> {
        fail_point!(async "cards.pairing");
        let now = self.clock.now_ms();
        let (change, origin) = (Arc::new(change), origin.clone());
        self.store
            .write(move |tx| {
                let (change, origin) = (change.clone(), origin.clone());
                async move {
                    let mut row = pairings::lock(&tx, id).await?.ok_or(PairingError::Ended)?;
                    if row.state == PairingState::Ended && row.ended_by != Some(PairingEnd::Broken) {
                        return Err(PairingError::Ended);
                    }
                    change(&mut row)?;
                    let both = row.confirmed_by_person && row.confirmed_by_agent;
                    if both && row.state == PairingState::Redeemed {
                        row.state = PairingState::Confirmed;
                        let origin = Origin { login: Some(row.login.clone()), ..origin };
                        let host = row.host.clone().unwrap_or_default();
                        audit::record(&tx, &origin, Some(row.root), now, &Event::AgentPaired { host })?;
                    }
                    pairings::update(&tx, &row).await?;
                    Ok(row)
                }
            })
            .await
    }

    fn is_limited(&self, agent_key: &[u8]) -> bool {
        let since = self.clock.now_ms() - LIFETIME;
        self.wrong.lock().is_ok_and(|mut wrong| {
            wrong.retain(|_, times| {
                times.retain(|at| *at > since);
                !times.is_empty()
            });
            let all: usize = wrong.values().map(Vec::len).sum();
            all >= TRIES_OF_ALL || wrong.get(agent_key).is_some_and(|times| times.len() >= TRIES)
        })
    }

    fn note_wrong(&self, agent_key: &[u8]) {
        let now = self.clock.now_ms();
        if let Ok(mut wrong) = self.wrong.lock() {
            wrong.entry(agent_key.to_vec()).or_default().push(now);
        }
    }
}

impl std::fmt::Debug for Pairings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Pairings").field("node", &self.node).finish_non_exhaustive()
    }
}
