//! The agents' channel `/agent/v1`: one WebSocket an agent, opened by the agent. No cookie is read, a browser (`Origin`) is refused.

mod handshake;

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, Session};
use sealwright_protocol::{
    Bytes, FromAgent, FromPortal, MAXIMUM_MESSAGE, ManagementKey, ManagementKeyAlgorithm, RelayAnswer, RelayRefusal,
};
use sealwright_workflow::definition::{Kind, Party};
use sealwright_workflow::instance::Status;
use sealwright_workflow::step::places;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::audit::Origin;
use crate::cards::management_key;
use crate::cards::pairing::PairingState;
use crate::cards::pairings::PairingError;
use crate::cards::sealing::Purpose;
use crate::engine::contract::FailureClass;
use crate::engine::{EngineError, verbs};
use crate::http::observe::origin;
use crate::portal::Portal;
use crate::store::jobs::{JobRow, Queued};
use crate::store::pairings::PairingRow;
use crate::store::{StoreError, cards, instances, jobs};

/// An agent that says nothing for so long is gone; a card may need a minute for one key.
const SILENCE: Duration = Duration::from_secs(180);
/// How long it may take until both sides have confirmed: as long as a code is good, and its comparison. Whoever has not paired by then holds no place.
const GREETING: Duration = Duration::from_secs(15 * 60);
/// How often the channel looks for what another node has done, and pings.
const TICK: Duration = Duration::from_secs(2);
/// How long a message may wait for an agent that does not read.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// The routes of this surface.
pub fn routes(config: &mut web::ServiceConfig) {
    config.route(sealwright_protocol::PATH, web::get().to(open));
}

async fn open(portal: web::Data<Portal>, request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    let origin = origin(&request);
    if request.headers().contains_key(header::ORIGIN) {
        if let Err(error) = portal.pairings.record_refusal(&origin, None, "browser").await {
            tracing::error!(request = origin.request, %error, "a refusal could not be written down");
        }
        return Ok(HttpResponse::Forbidden().body("This address is for agents."));
    }
    let (response, session, stream) = actix_ws::handle(&request, body)?;
    let stream =
        stream.max_frame_size(MAXIMUM_MESSAGE).aggregate_continuations().max_continuation_size(MAXIMUM_MESSAGE);
    actix_web::rt::spawn(async move {
        let mut channel = Channel { portal: portal.get_ref().clone(), session, stream, origin };
        metrics::gauge!("sealwright_agents_connected").increment(1.0);
        let end = channel.converse().await;
        metrics::gauge!("sealwright_agents_connected").decrement(1.0);
        let say = match end {
            End::Gone => None,
            End::Say(message) => Some(*message),
            End::Protocol => Some(refused("The portal does not understand this agent. Update it.")),
            End::Engine(error) => {
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

/// How a conversation ends.
enum End {
    Gone,
    Say(Box<FromPortal>),
    Protocol,
    Engine(EngineError),
}

impl From<EngineError> for End {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Engine(EngineError::Store(error))
    }
}

impl From<PairingError> for End {
    fn from(error: PairingError) -> Self {
        match error {
            PairingError::Store(error) => Self::from(error),
            other => Self::Say(Box::new(refused(other.say()))),
        }
    }
}

fn refused(say: &str) -> FromPortal {
    FromPortal::Refused { say: say.to_owned() }
}

/// What an agent was told, and waits to be told otherwise.
#[derive(Default)]
struct Told {
    jobs: BTreeMap<Uuid, JobRow>,
    label: String,
}

fn holder(row: &PairingRow) -> jobs::Holder {
    jobs::Holder { pairing: row.id, epoch: row.epoch, root: row.root }
}

struct Channel {
    portal: Portal,
    session: Session,
    stream: AggregatedMessageStream,
    origin: Origin,
}

impl Channel {
    async fn converse(&mut self) -> End {
        let paired = match tokio::time::timeout(GREETING, self.greet()).await {
            Ok(Ok(paired)) => paired,
            Ok(Err(end)) => return end,
            Err(_) => return End::Gone,
        };
        match self.serve(paired).await {
            Ok(()) => End::Gone,
            Err(end) => end,
        }
    }

    /// Hands out jobs and takes reports until the root has ended.
    async fn serve(&mut self, row: PairingRow) -> Result<(), End> {
        let mut listener = self.portal.engine.listen(row.root);
        let mut told = Told::default();
        self.look(&row, &mut told).await?;
        // Not begun anew by what others do: it is the net below everything that is told.
        let mut tick = tokio::time::interval_at(Instant::now() + TICK, TICK);
        loop {
            tokio::select! {
                message = receive(&mut self.stream, &mut self.session) => {
                    // What a report changes is announced as every change is.
                    self.take(&row, &mut told, message?).await?;
                    continue;
                }
                () = listener.changed() => {}
                _ = tick.tick() => {
                    self.check_hold(&row).await?;
                    self.ping().await?;
                }
            }
            self.look(&row, &mut told).await?;
        }
    }

    /// Ends the conversation with an agent that was replaced; until then it gets no job, and its reports are refused.
    async fn check_hold(&self, row: &PairingRow) -> Result<(), End> {
        let holder = self.portal.pairings.find(row.id).await?.ok_or(End::Protocol)?;
        if holder.epoch != row.epoch || holder.state != PairingState::Confirmed.as_str() {
            return Err(End::Say(Box::new(refused("Another agent has taken over, or a new code was asked for."))));
        }
        Ok(())
    }

    /// Tells the agent what is new: the progress, jobs, withdrawn jobs, the end.
    async fn look(&mut self, row: &PairingRow, told: &mut Told) -> Result<(), End> {
        let (tree, queued) = jobs::outlook(self.portal.store.read(), holder(row)).await?;
        let root = tree.iter().find(|part| part.id == row.root).ok_or(End::Protocol)?;
        if !root.is_open() {
            return Err(self.finished(row.root).await?);
        }
        if let Some(label) = self.label(&tree)?
            && label != told.label
        {
            self.send(&FromPortal::Progress { label: label.clone() }).await?;
            told.label = label;
        }
        let (there, over): (Vec<Uuid>, Vec<Uuid>) =
            told.jobs.keys().copied().partition(|id| queued.iter().any(|job| job.row.id == *id));
        for Queued { row: job, serial } in queued {
            if !there.contains(&job.id) {
                self.hand_out(&job, serial).await?;
                told.jobs.insert(job.id, job);
            }
        }
        for id in over {
            told.jobs.remove(&id);
            self.send(&FromPortal::Withdraw { job: id.to_string() }).await?;
        }
        Ok(())
    }

    /// How it has ended, for the person at the card.
    async fn finished(&self, root: Uuid) -> Result<End, End> {
        let (tree, _) = instances::tree(self.portal.store.read(), root).await?;
        let root = tree.iter().find(|part| part.instance.id == root).ok_or(End::Protocol)?;
        let success = root.instance.status == Status::Success;
        let mut say = root.instance.say.clone().unwrap_or_default();
        if !success {
            say = [say].into_iter().chain(verbs::reasons(&tree)).collect::<Vec<_>>().join("\n");
        }
        Ok(End::Say(Box::new(FromPortal::Finished { success, say })))
    }

    /// The label of the deepest open state.
    fn label(&self, tree: &[instances::Listed]) -> Result<Option<String>, End> {
        let Some(deepest) = tree.iter().rev().find(|part| part.is_open()) else { return Ok(None) };
        let definition = self.portal.engine.definitions().of(&deepest.workflow, deepest.version())?;
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

    async fn hand_out(&mut self, job: &JobRow, card: Option<String>) -> Result<(), End> {
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
                return Err(End::Say(Box::new(refused(say))));
            }
            Err(error) => return Err(error.into()),
        };
        self.send(&FromPortal::Job { job: job.id.to_string(), card, instruction }).await
    }

    async fn take(&mut self, row: &PairingRow, told: &mut Told, message: FromAgent) -> Result<(), End> {
        match message {
            FromAgent::Report { job, report } => {
                let id: Uuid = job.parse().map_err(|_| End::Protocol)?;
                // A report of a job that is over: it was reported before, or withdrawn.
                let Some(queued) = told.jobs.remove(&id) else { return self.send(&FromPortal::Withdraw { job }).await };
                let origin = Origin { login: Some(row.login.clone()), ..self.origin.clone() };
                match self.portal.engine.report(holder(row), origin, &queued, report).await {
                    // The agent need not keep the report any more.
                    Ok(()) | Err(EngineError::Fenced) => self.send(&FromPortal::Withdraw { job }).await,
                    Err(EngineError::Unfit) => Err(End::Protocol),
                    Err(error) => Err(error.into()),
                }
            }
            FromAgent::Relay { job, serial, key, algorithm, witness } => {
                let id: Uuid = job.parse().map_err(|_| End::Protocol)?;
                let answer = match told.jobs.get(&id) {
                    Some(job) => self.relay(row, job, &serial, key, algorithm, &witness.0).await?,
                    None => Err(RelayRefusal::NotExpected),
                };
                self.send(&FromPortal::RelayAnswer { job, witness, answer }).await
            }
            _ => Err(End::Protocol),
        }
    }

    /// Answers a card's witness for a job under way, with a key that this person's card may have.
    async fn relay(
        &self,
        row: &PairingRow,
        job: &JobRow,
        serial: &str,
        key: ManagementKey,
        algorithm: ManagementKeyAlgorithm,
        witness: &[u8],
    ) -> Result<Result<RelayAnswer, RelayRefusal>, End> {
        let reader = self.portal.store.read();
        let nonce: Bytes =
            serde_json::from_value(job.plan.get("nonce").cloned().unwrap_or(Value::Null)).map_err(|_| End::Protocol)?;
        let answered = |key: &[u8]| {
            management_key::answer(algorithm, key, witness, &nonce.0).map_err(|_| RelayRefusal::NotExpected)
        };
        if key == ManagementKey::Factory {
            if !jobs::is_queued(reader, job.id, holder(row)).await? {
                return Ok(Err(RelayRefusal::NotExpected));
            }
            return Ok(management_key::factory(algorithm).ok_or(RelayRefusal::NoKey).and_then(answered));
        }
        // A key that is not confirmed yet may be the one on the card: the newest is tried.
        let purpose = Purpose::ManagementKey.as_str();
        let Some((card, secret)) = cards::for_job(reader, job.id, holder(row), serial, purpose).await? else {
            let is_queued = jobs::is_queued(reader, job.id, holder(row)).await?;
            return Ok(Err(if is_queued { RelayRefusal::NoKey } else { RelayRefusal::NotExpected }));
        };
        // Nobody's yet, or theirs; one whose owner has no login now is somebody else's.
        let theirs = card.owner.is_none() || card.owner_login.as_deref() == Some(row.login.as_str());
        if !theirs || job.card.is_some_and(|expected| expected != card.id) {
            return Ok(Err(RelayRefusal::NotExpected));
        }
        let Some(secret) = secret else { return Ok(Err(RelayRefusal::NoKey)) };
        match self.portal.sealing.open(card.id, Purpose::ManagementKey, &secret.into()) {
            Ok(key) => Ok(answered(&key)),
            Err(error) => {
                tracing::error!(card = %card.id, %error, "a management key cannot be opened");
                Ok(Err(RelayRefusal::NoKey))
            }
        }
    }

    /// Shows the agent that the portal is there; one that does not read is gone.
    async fn ping(&mut self) -> Result<(), End> {
        match tokio::time::timeout(SEND_LIMIT, self.session.ping(b"")).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    async fn send(&mut self, message: &FromPortal) -> Result<(), End> {
        let text = serde_json::to_string(message).map_err(|_| End::Protocol)?;
        match tokio::time::timeout(SEND_LIMIT, self.session.text(text)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    async fn receive(&mut self) -> Result<FromAgent, End> {
        receive(&mut self.stream, &mut self.session).await
    }
}

async fn receive(stream: &mut AggregatedMessageStream, session: &mut Session) -> Result<FromAgent, End> {
    let text = receive_text(stream, session).await?;
    serde_json::from_str(&text).map_err(|_| End::Protocol)
}

async fn receive_text(stream: &mut AggregatedMessageStream, session: &mut Session) -> Result<String, End> {
    loop {
        match tokio::time::timeout(SILENCE, stream.recv()).await {
            Ok(Some(Ok(AggregatedMessage::Text(text)))) => {
                return Ok(text.to_string());
            }
            Ok(Some(Ok(AggregatedMessage::Ping(bytes)))) => {
                session.pong(&bytes).await.map_err(|_| End::Gone)?;
            }
            Ok(Some(Ok(AggregatedMessage::Pong(_)))) => {}
            Ok(Some(Ok(AggregatedMessage::Binary(_)))) => return Err(End::Protocol),
            Ok(Some(Ok(AggregatedMessage::Close(_))) | None | Some(Err(_))) | Err(_) => return Err(End::Gone),
        }
    }
}
