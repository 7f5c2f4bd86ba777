//! The agents' WebSocket `/agent/v1`: one WebSocket an agent, opened by the agent. No cookie is read, a browser (`Origin`) is refused.

mod frames;
mod handshake;
mod places;

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, Session};
use sealwright_protocol::{
    Capabilities, Capability, FromAgent, FromPortal, MAXIMUM_MESSAGE, NOT_UNDERSTOOD, Reader, RelayRefusal,
};
use sealwright_workflow::definition::{Kind, Party};
use sealwright_workflow::instance::Status;
use sealwright_workflow::step::places;
use tokio::time::Instant;
use uuid::Uuid;

use crate::audit::Origin;
use crate::cards::pairing::PairingState;
use crate::cards::pairings::{Held, PairingEnd, PairingError, PairingRecord, REFRESH, holder};
use crate::cards::relay::{self, Challenge, RelayError};
use crate::desk::instances;
use crate::desk::jobs::{self, JobRecord, Queued};
use crate::engine::contract::FailureClass;
use crate::engine::{EngineError, verbs};
use crate::http::observe::{client_address, origin};
use crate::portal::Portal;

use places::Place;
pub use places::Places;

/// Silence after which an agent is gone. It answers each ping while its card is at work.
const SILENCE: Duration = Duration::from_secs(30);
/// The same for an agent that names no capabilities: it answers no ping while it asks its person for the number.
const SILENCE_OF_EARLIER: Duration = Duration::from_secs(180);
/// How long it may take until both sides have confirmed: as long as a code is good, and its comparison. Whoever has not paired by then holds no place.
const HANDSHAKE: Duration = Duration::from_secs(15 * 60);
/// How often the channel looks for what another node has done, and pings.
const TICK: Duration = Duration::from_secs(2);
/// How long a message may wait for an agent that does not read.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// The routes of this surface. The places are those of the whole node.
pub fn routes(places: Places) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config.app_data(web::Data::new(places)).route(sealwright_protocol::PATH, web::get().to(open));
    }
}

async fn open(
    portal: web::Data<Portal>,
    places: web::Data<Places>,
    request: HttpRequest,
    body: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let origin = origin(&request);
    if request.headers().contains_key(header::ORIGIN) {
        record_refusal(&portal, &origin, "browser").await;
        return Ok(HttpResponse::Forbidden().body("This address is for agents."));
    }
    let Some(place) = places.take(client_address(&request)) else {
        record_refusal(&portal, &origin, "crowded").await;
        let answer = "Too many agents are connecting. Try again in a minute.";
        return Ok(HttpResponse::ServiceUnavailable().insert_header((header::RETRY_AFTER, "60")).body(answer));
    };
    let body = frames::limited(&request, body, MAXIMUM_MESSAGE).await?;
    let (response, session, stream) = actix_ws::handle(&request, body)?;
    let stream =
        stream.max_frame_size(MAXIMUM_MESSAGE).aggregate_continuations().max_continuation_size(MAXIMUM_MESSAGE);
    actix_web::rt::spawn(async move {
        let portal = portal.get_ref().clone();
        let (capabilities, end) = (Capabilities::default(), PairingEnd::Broken);
        let heard = Instant::now();
        let mut channel = Channel { portal, session, stream, heard, origin, capabilities, held: None, end };
        metrics::gauge!("sealwright_agents_connected").increment(1.0);
        let close = channel.run(place).await;
        metrics::gauge!("sealwright_agents_connected").decrement(1.0);
        channel.leave(&close).await;
        let say = match close {
            Close::Gone => None,
            Close::Message(message) => Some(*message),
            Close::Protocol => Some(refused(NOT_UNDERSTOOD)),
            Close::Engine(error) => {
                tracing::error!(request = channel.origin.request, %error, "an agent's conversation failed");
                Some(refused("The portal cannot go on now. Start the same command again in a minute: nothing is lost."))
            }
        };
        if let Some(message) = say {
            // The agent may have gone.
            let _gone = channel.send(&message).await;
        }
        let _gone = channel.session.close(None).await;
    });
    Ok(response)
}

/// Writes down that a connection was refused before it was an agent's.
async fn record_refusal(portal: &Portal, origin: &Origin, why: &'static str) {
    if let Err(error) = portal.pairings.record_refusal(origin, None, why).await {
        tracing::error!(request = origin.request, %error, "a refusal could not be written down");
    }
}

/// The end of a conversation, and the message that tells the agent of it.
enum Close {
    Gone,
    Message(Box<FromPortal>),
    Protocol,
    Engine(EngineError),
}

impl From<EngineError> for Close {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<RelayError> for Close {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Plan => Self::Protocol,
            RelayError::Store(error) => Self::Engine(error.into()),
        }
    }
}

impl From<PairingError> for Close {
    fn from(error: PairingError) -> Self {
        match error {
            PairingError::Store(error) => Self::Engine(error.into()),
            other => Self::Message(Box::new(refused(other.say()))),
        }
    }
}

fn refused(say: &str) -> FromPortal {
    FromPortal::Refused { say: say.to_owned() }
}

/// Jobs and progress that an agent was sent, until it is sent something else.
#[derive(Default)]
struct Dispatched {
    jobs: BTreeMap<Uuid, JobRecord>,
    label: String,
    /// Readers that the agent has told of since the last tick: written once a tick at most.
    readers: Option<Vec<Reader>>,
}

struct Channel {
    portal: Portal,
    session: Session,
    stream: AggregatedMessageStream,
    /// The last frame of the agent.
    heard: Instant,
    origin: Origin,
    /// Capabilities that the agent has named and this release knows.
    capabilities: Capabilities,
    /// The pairing that this connection holds.
    held: Option<Held>,
    /// The reason for which a pairing ends that the agent has not confirmed when the connection ends.
    end: PairingEnd,
}

impl Channel {
    /// Conducts the whole conversation; whoever has paired needs their place no more.
    async fn run(&mut self, place: Place) -> Close {
        let paired = match tokio::time::timeout(HANDSHAKE, self.handshake()).await {
            Ok(Ok(paired)) => paired,
            Ok(Err(close)) => return close,
            Err(_) => return Close::Gone,
        };
        drop(place);
        match self.serve(paired).await {
            Ok(()) => Close::Gone,
            Err(close) => close,
        }
    }

    /// Writes down that the agent has gone; nobody asks after the end of the whole.
    async fn leave(&self, close: &Close) {
        let is_finished = matches!(close, Close::Message(message) if matches!(**message, FromPortal::Finished { .. }));
        let Some(held) = self.held.filter(|_| !is_finished) else { return };
        match self.portal.pairings.leave(held, self.end).await {
            Ok(true) => self.portal.engine.announce(held.root),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(request = self.origin.request, %error, "an agent's end could not be written down");
            }
        }
    }

    /// Hands out jobs and takes reports until the root has ended.
    async fn serve(&mut self, row: PairingRecord) -> Result<(), Close> {
        let mut listener = self.portal.engine.listen(row.root);
        let mut dispatched = Dispatched::default();
        self.sync(&row, &mut dispatched).await?;
        // Not begun anew by what others do: it is the net below everything that is told.
        let mut tick = tokio::time::interval_at(Instant::now() + TICK, TICK);
        let mut seen = self.portal.clock.now_ms();
        loop {
            tokio::select! {
                message = receive(&mut self.stream, &mut self.session, &mut self.heard) => {
                    // What a report changes is announced as every change is.
                    self.handle_message(&row, &mut dispatched, message?).await?;
                    continue;
                }
                () = listener.changed() => {}
                _ = tick.tick() => {
                    self.check_hold(&row).await?;
                    self.ping().await?;
                    let now = self.portal.clock.now_ms();
                    if dispatched.readers.is_some() || now - seen >= REFRESH {
                        seen = now;
                        self.refresh(&row, dispatched.readers.take()).await?;
                    }
                }
            }
            self.sync(&row, &mut dispatched).await?;
        }
    }

    /// Ends the conversation with an agent that was replaced; until then it gets no job, and its reports are refused.
    async fn check_hold(&self, row: &PairingRecord) -> Result<(), Close> {
        let holder = self.portal.pairings.find(row.id).await?.ok_or(Close::Protocol)?;
        if holder.epoch != row.epoch {
            return Err(handshake::taken_over());
        }
        if holder.state != PairingState::Confirmed {
            let say = "A new code was asked for on the page. Nothing more is done with this one.";
            return Err(Close::Message(Box::new(refused(say))));
        }
        Ok(())
    }

    /// Refreshes the lease of the connection; the page is told of changed readers.
    async fn refresh(&self, row: &PairingRecord, readers: Option<Vec<Reader>>) -> Result<(), Close> {
        self.portal.pairings.seen(Held::from(row), readers.as_deref()).await.map_err(EngineError::from)?;
        if readers.is_some() {
            self.portal.engine.announce(row.root);
        }
        Ok(())
    }

    /// Sends what is new: the progress, jobs, withdrawn jobs, the end.
    async fn sync(&mut self, row: &PairingRecord, dispatched: &mut Dispatched) -> Result<(), Close> {
        let (tree, queued) = jobs::outlook(&self.portal.engine, holder(row)).await?;
        let root = tree.iter().find(|part| part.id == row.root).ok_or(Close::Protocol)?;
        if !root.is_open() {
            return Err(self.finished(row.root).await?);
        }
        if let Some(label) = self.label(&tree)?
            && label != dispatched.label
        {
            self.send(&FromPortal::Progress { label: label.clone() }).await?;
            dispatched.label = label;
        }
        let (kept, withdrawn): (Vec<Uuid>, Vec<Uuid>) =
            dispatched.jobs.keys().copied().partition(|id| queued.iter().any(|job| job.row.id == *id));
        for Queued { row: job, serial } in queued {
            if !kept.contains(&job.id) {
                self.dispatch_job(&job, serial).await?;
                dispatched.jobs.insert(job.id, job);
            }
        }
        for id in withdrawn {
            dispatched.jobs.remove(&id);
            self.send(&FromPortal::Withdraw { job: id.to_string() }).await?;
        }
        Ok(())
    }

    /// How it has ended, for the person at the card.
    async fn finished(&self, root: Uuid) -> Result<Close, Close> {
        let tree = instances::tree(&self.portal.engine, root).await?;
        let root = tree.iter().find(|part| part.instance.id == root).ok_or(Close::Protocol)?;
        let success = root.instance.status == Status::Success;
        let mut say = root.instance.say.clone().unwrap_or_default();
        if !success {
            say = [say].into_iter().chain(verbs::reasons(&tree)).collect::<Vec<_>>().join("\n");
        }
        Ok(Close::Message(Box::new(FromPortal::Finished { success, say })))
    }

    /// The label of the deepest open state.
    fn label(&self, tree: &[instances::Listed]) -> Result<Option<String>, Close> {
        let Some(deepest) = tree.iter().rev().find(|part| part.is_open()) else { return Ok(None) };
        let definition = self.portal.engine.definitions().of(&deepest.workflow, deepest.version)?;
        Ok(definition.state(&deepest.state).map(|state| match &state.kind {
            // Only what the person at the card is asked; what others decide is waited for.
            Kind::Ask(ask) if ask.actions.iter().all(|action| action.by.contains(&Party::Owner)) => {
                // What is filled into a question is read on the page alone.
                match places(&ask.question).next() {
                    Some(_) => format!("{}. Answer on the page.", state.label),
                    None => format!("{} Answer on the page.", ask.question),
                }
            }
            _ => state.label.clone(),
        }))
    }

    /// Sends a job with its instruction.
    async fn dispatch_job(&mut self, job: &JobRecord, card: Option<String>) -> Result<(), Close> {
        let instruction = match self.portal.engine.instruction(job).await {
            Ok(instruction) => instruction,
            Err(EngineError::Activity(class)) => {
                tracing::warn!(job = %job.id, %class, "a job cannot be handed out");
                let say = match class {
                    FailureClass::Occupied => {
                        "The card holds a valid certificate in this slot, which is never overwritten. Ask the help desk."
                    }
                    FailureClass::Secret => "The portal cannot open the secrets of this card. Ask the help desk.",
                    _ => "The portal cannot say what the card is to do. Ask the help desk.",
                };
                return Err(Close::Message(Box::new(refused(say))));
            }
            Err(error) => return Err(error.into()),
        };
        let instruction = instruction.for_agent(&self.capabilities);
        self.send(&FromPortal::Job { job: job.id.to_string(), card, instruction }).await
    }

    /// Takes a report or a card's witness; any other message ends the conversation.
    async fn handle_message(
        &mut self,
        row: &PairingRecord,
        dispatched: &mut Dispatched,
        message: FromAgent,
    ) -> Result<(), Close> {
        match message {
            FromAgent::Report { job, report } => {
                let id: Uuid = job.parse().map_err(|_| Close::Protocol)?;
                // A report of a job that is over: it was reported before, or withdrawn.
                let Some(queued) = dispatched.jobs.remove(&id) else {
                    return self.send(&FromPortal::Withdraw { job }).await;
                };
                let origin = Origin { login: Some(row.login.clone()), ..self.origin.clone() };
                match self.portal.engine.report(holder(row), origin, &queued, report).await {
                    // The agent need not keep the report any more.
                    Ok(()) | Err(EngineError::Fenced) => self.send(&FromPortal::Withdraw { job }).await,
                    Err(EngineError::Unfit) => Err(Close::Protocol),
                    Err(error) => Err(error.into()),
                }
            }
            FromAgent::Relay { job, serial, key, algorithm, witness } => {
                let id: Uuid = job.parse().map_err(|_| Close::Protocol)?;
                let answer = match dispatched.jobs.get(&id) {
                    Some(job) => {
                        let challenge = Challenge { serial: &serial, key, algorithm, witness: &witness.0 };
                        let Portal { store, sealing, .. } = &self.portal;
                        relay::answer(store, sealing, holder(row), &row.login, job, &challenge).await?
                    }
                    None => Err(RelayRefusal::NotExpected),
                };
                self.send(&FromPortal::RelayAnswer { job, witness, answer }).await
            }
            FromAgent::Readers { readers } if self.capabilities.has(Capability::Readers) && are_readable(&readers) => {
                dispatched.readers = Some(readers);
                Ok(())
            }
            _ => Err(Close::Protocol),
        }
    }

    /// Shows the agent that the portal is there; one that does not read or answer is gone.
    async fn ping(&mut self) -> Result<(), Close> {
        let limit = if self.capabilities.is_empty() { SILENCE_OF_EARLIER } else { SILENCE };
        if self.heard.elapsed() > limit {
            return Err(Close::Gone);
        }
        match tokio::time::timeout(SEND_LIMIT, self.session.ping(b"")).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Close::Gone),
        }
    }

    async fn send(&mut self, message: &FromPortal) -> Result<(), Close> {
        let text = serde_json::to_string(message).map_err(|_| Close::Protocol)?;
        match tokio::time::timeout(SEND_LIMIT, self.session.text(text)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Close::Gone),
        }
    }

    async fn receive(&mut self) -> Result<FromAgent, Close> {
        receive(&mut self.stream, &mut self.session, &mut self.heard).await
    }
}

/// Whether names and numbers of readers and cards are few and short enough to be kept and shown.
fn are_readable(readers: &[Reader]) -> bool {
    let is_plain = |text: &str| text.chars().count() <= 128 && !text.chars().any(char::is_control);
    let is_readable = |reader: &Reader| is_plain(&reader.name) && reader.card.as_deref().is_none_or(is_plain);
    readers.len() <= 32 && readers.iter().all(is_readable)
}

async fn receive(
    stream: &mut AggregatedMessageStream,
    session: &mut Session,
    heard: &mut Instant,
) -> Result<FromAgent, Close> {
    let text = receive_text(stream, session, heard).await?;
    serde_json::from_str(&text).map_err(|_| Close::Protocol)
}

async fn receive_text(
    stream: &mut AggregatedMessageStream,
    session: &mut Session,
    heard: &mut Instant,
) -> Result<String, Close> {
    loop {
        let received = tokio::time::timeout(SILENCE_OF_EARLIER, stream.recv()).await;
        *heard = Instant::now();
        match received {
            Ok(Some(Ok(AggregatedMessage::Text(text)))) => {
                return Ok(text.to_string());
            }
            Ok(Some(Ok(AggregatedMessage::Ping(bytes)))) => {
                session.pong(&bytes).await.map_err(|_| Close::Gone)?;
            }
            Ok(Some(Ok(AggregatedMessage::Pong(_)))) => {}
            Ok(Some(Ok(AggregatedMessage::Binary(_)))) => return Err(Close::Protocol),
            Ok(Some(Ok(AggregatedMessage::Close(_))) | None | Some(Err(_))) | Err(_) => return Err(Close::Gone),
        }
    }
}
