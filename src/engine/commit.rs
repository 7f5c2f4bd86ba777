//! One event, one transaction: the instance, its history, and everything its effects ask for.

use std::collections::VecDeque;
use std::pin::Pin;

use sealwright_workflow::definition::{Definition, Kind, Party};
use sealwright_workflow::instance::{
    Cancelling, ChildEnd, Effect, Event, Failing, Instance, Parent, Status, Timer, Waiting,
};
use sealwright_workflow::step::{self, Begin, Step};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::contract::{Call, Planned};
use super::definitions::definition_name;
use super::dispatch::POLL;
use super::events::{Arrival, described};
use super::loaded::Loaded;
use super::undo::undo;
use super::{Engine, EngineError};
use crate::audit::{self, Origin};
use crate::clock::milliseconds;
use crate::fail_point;
use crate::random;
use crate::store::inbox::InboxRecord;
use crate::store::instances::{HistoryRecord, Stored};
use crate::store::jobs::{JobRecord, JobState};
use crate::store::work::WorkRecord;
use crate::store::{Tx, inbox, instances, jobs, tasks, timers, watches, work};

/// How long a lease lasts, in milliseconds of the database's clock.
pub(super) const LEASE: i64 = 10_000;
/// Automatic steps in one transaction at most; a verified definition has far fewer.
const MAXIMUM_STEPS: usize = 100;

/// So many tries of an activity are told in the history; of those that follow each power of two, or a failure of another class.
const TRIES_TOLD: u32 = 20;

/// Whether the history tells of a try: a directory may be away for days, and be asked every minute.
fn is_told(before: &Instance, after: &Instance) -> bool {
    let (Waiting::Activity { failing: former, .. }, Waiting::Activity { attempts, failing }) =
        (&before.waiting, &after.waiting)
    else {
        return true;
    };
    let class = |failing: &Option<Failing>| failing.as_ref().map(|failing| failing.class.clone());
    *attempts <= TRIES_TOLD || attempts.is_power_of_two() || class(former) != class(failing)
}

/// What is to be done once the transaction is committed.
#[derive(Debug, Default)]
pub(super) struct After {
    pub roots: Vec<Uuid>,
    pub work: Vec<(WorkRecord, Call)>,
    pub inboxes: Vec<Uuid>,
    pub look: bool,
}

/// The transaction's view of the engine.
pub(super) struct Commit<'a> {
    pub engine: &'a Engine,
    pub tx: &'a Tx,
    pub origin: &'a Origin,
    loaded: Loaded,
    /// What instances have told each other in this transaction.
    arrivals: VecDeque<(Uuid, Arrival)>,
    after: After,
}

type Boxed<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

impl<'a> Commit<'a> {
    pub fn new(engine: &'a Engine, tx: &'a Tx, origin: &'a Origin) -> Self {
        Self { engine, tx, origin, loaded: Loaded::default(), arrivals: VecDeque::new(), after: After::default() }
    }

    /// Reads and locks an instance; gives nothing when there is none.
    pub async fn lock(&mut self, id: Uuid) -> Result<Option<Stored>, EngineError> {
        Ok(self.loaded.lock(self.tx, id).await?)
    }

    /// Takes an instance in that was read and locked together with something else.
    pub fn take(&mut self, stored: Option<Stored>) -> Option<Stored> {
        self.loaded.take(stored)
    }

    /// Begins an instance and takes its first automatic steps.
    pub async fn begin(&mut self, definition: &Definition, start: Begin, root: Uuid) -> Result<(), EngineError> {
        let now = self.engine.clock().now();
        let Step { instance, effects } = step::begin(definition, start, now)?;
        let at = milliseconds(now);
        let stored = Stored { instance, root, revision: 1, started_at: at, changed_at: at, ended_at: None };
        if stored.instance.parent.is_none() {
            let event = audit::Event::WorkflowStarted {
                workflow: stored.instance.workflow.clone(),
                version: stored.instance.version,
                owner: stored.instance.owner.login.clone(),
            };
            audit::record(self.tx, self.origin, Some(stored.instance.id), at, &event)?;
        }
        self.loaded.begin(stored.clone());
        self.note_task(definition, &stored, false).await?;
        self.add_history(&stored, "started", None);
        self.settle(definition, stored, effects).await
    }

    /// Applies an event to a locked instance.
    pub async fn apply(&mut self, mut stored: Stored, event: Event) -> Result<(), EngineError> {
        let definition = self.engine.definitions().of(&stored.instance.workflow, stored.instance.version)?;
        let (name, detail) = described(&event);
        let effects = self.advance(&definition, &mut stored, event, name, detail).await?;
        self.settle(&definition, stored, effects).await
    }

    /// One step: the instance row and its history.
    async fn advance(
        &mut self,
        definition: &Definition,
        stored: &mut Stored,
        event: Event,
        name: &str,
        detail: Option<String>,
    ) -> Result<Vec<Effect>, EngineError> {
        let now = self.engine.clock().now();
        // What the instance waited for did not move it on itself: it is to be taken away.
        let is_from_elsewhere = matches!(event, Event::TimerFired { .. } | Event::Cancelled { .. });
        let is_a_try = matches!(event, Event::Failed { .. } | Event::TimerFired { timer: Timer::Retry, .. });
        let Step { instance, effects } = step::step(definition, stored.instance.clone(), event, now)?;
        let before = std::mem::replace(&mut stored.instance, instance);
        stored.changed_at = milliseconds(now);
        if !stored.instance.is_open() {
            stored.ended_at = Some(stored.changed_at);
        }
        stored.revision += 1;
        self.loaded.step(stored);
        if is_from_elsewhere {
            self.drop_waiting(&before, stored).await?;
        }
        self.note_task(definition, stored, before.waiting == Waiting::Person).await?;
        let (of, request) = (&stored.instance, &self.origin.request);
        tracing::info!(instance = %of.id, workflow = of.workflow, state = of.state, event = name, request, "step");
        let labels = [("workflow", of.workflow.clone()), ("event", name.to_owned())];
        metrics::counter!("sealwright_steps_total", &labels).increment(1);
        if !of.is_open() {
            let labels = [("workflow", of.workflow.clone()), ("outcome", of.status.as_str().to_owned())];
            metrics::counter!("sealwright_instances_ended_total", &labels).increment(1);
        }
        if !is_a_try || is_told(&before, &stored.instance) {
            self.add_history(stored, name, detail);
        }
        if stored.instance.status == Status::Stuck && before.status != Status::Stuck {
            self.audit_stuck(stored).await?;
        }
        Ok(effects)
    }

    /// Takes away what the instance waits for no more.
    async fn drop_waiting(&mut self, before: &Instance, stored: &Stored) -> Result<(), EngineError> {
        let of = &stored.instance;
        if before.step == of.step && of.is_open() {
            let is_asked_now = before.cancelling.is_none() && matches!(of.cancelling, Some(Cancelling::Asked { .. }));
            if is_asked_now && matches!(of.waiting, Waiting::Activity { .. }) {
                // Where nothing is under way but the wait for the next try, that one is made at once: it is the last.
                let (retry, step) = (Timer::Retry.as_str(), i64::try_from(of.step).unwrap_or(i64::MAX));
                self.after.look |= timers::expedite(self.tx, of.id, retry, step, stored.changed_at).await?;
            }
            return Ok(());
        }
        match &before.waiting {
            Waiting::Activity { .. } => work::remove(self.tx, of.id).await?,
            Waiting::Condition => watches::remove(self.tx, of.id).await?,
            _ => {}
        }
        Ok(())
    }

    /// Keeps the list of questions that wait for somebody in a role.
    async fn note_task(&self, definition: &Definition, stored: &Stored, asked: bool) -> Result<(), EngineError> {
        let of = &stored.instance;
        if asked {
            tasks::remove(self.tx, of.id).await?;
        }
        let asks = of.is_open() && of.waiting == Waiting::Person;
        if asks && let Some(Kind::Ask(ask)) = definition.state(&of.state).map(|state| &state.kind) {
            let parties = ask.actions.iter().flat_map(|action| &action.by);
            let roles = parties.filter_map(|party| match party {
                Party::Role(role) => Some(role.text.as_str()),
                Party::Owner | Party::Requester => None,
            });
            tasks::insert(self.tx, of.id, roles.collect()).await?;
        }
        Ok(())
    }

    async fn audit_stuck(&self, stored: &Stored) -> Result<(), EngineError> {
        let class = match &stored.instance.waiting {
            Waiting::Operator { class } => class.clone(),
            _ => String::new(),
        };
        let event = audit::Event::WorkflowStuck {
            workflow: stored.instance.workflow.clone(),
            state: stored.instance.state.clone(),
            class,
        };
        audit::record(self.tx, self.origin, Some(stored.instance.id), stored.changed_at, &event)?;
        Ok(())
    }

    fn add_history(&self, stored: &Stored, event: &str, detail: Option<String>) {
        let row = HistoryRecord {
            instance: stored.instance.id,
            revision: stored.revision,
            at: stored.changed_at,
            event: event.to_owned(),
            state: stored.instance.state.clone(),
            step: i64::try_from(stored.instance.step).unwrap_or(i64::MAX),
            actor: self.origin.login.clone(),
            role: self.origin.role.clone(),
            detail,
        };
        instances::defer_history(self.tx, row);
    }

    /// Carries out effects; what completes at once is the next event of the same transaction.
    fn settle<'f>(
        &'f mut self,
        definition: &'f Definition,
        mut stored: Stored,
        mut effects: Vec<Effect>,
    ) -> Boxed<'f, Result<(), EngineError>> {
        Box::pin(async move {
            for _ in 0..MAXIMUM_STEPS {
                self.after.roots.push(stored.root);
                let mut completed = None;
                for effect in effects {
                    completed = self.effect(&stored, effect).await?.or(completed);
                }
                let Some(event) = completed else { return Ok(()) };
                let (name, detail) = described(&event);
                effects = self.advance(definition, &mut stored, event, name, detail).await?;
            }
            Err(EngineError::Inconsistent("loop"))
        })
    }

    async fn effect(&mut self, stored: &Stored, effect: Effect) -> Result<Option<Event>, EngineError> {
        let instance = &stored.instance;
        let step = i64::try_from(instance.step).unwrap_or(i64::MAX);
        match effect {
            Effect::Perform { activity, parameters } => return self.perform(stored, activity, parameters).await,
            Effect::Queue { job, parameters } => self.queue(stored, job, parameters).await?,
            Effect::Withdraw { .. } => jobs::withdraw(self.tx, instance.id, stored.changed_at).await?,
            Effect::Start { index, workflow, arguments, role } => {
                self.start_child(stored, index, &workflow, arguments, role).await?;
            }
            Effect::CancelChildren => {
                for child in self.loaded.open_children(self.tx, instance.id).await? {
                    self.arrivals.push_back((child, Arrival::Cancelled));
                }
            }
            Effect::Arm { timer, at } => {
                timers::defer_arm(self.tx, instance.id, timer.as_str(), step, milliseconds(at));
                // What is due later is found at a turn of the loop.
                self.after.look |= at - self.engine.clock().now() <= POLL;
            }
            Effect::Watch { condition, subject } => {
                watches::insert(self.tx, instance.id, step, &condition, subject.as_deref()).await?;
                self.after.look = true;
            }
            Effect::Hold { what, key } => {
                if let Some(holder) = instances::hold(self.tx, &what, &key, stored.root).await? {
                    return Err(EngineError::Held(holder));
                }
            }
            Effect::End { outcome } => {
                timers::defer_disarm(self.tx, instance.id);
                if instance.id == stored.root {
                    instances::defer_release_of_holds(self.tx, stored.root);
                    let event = audit::Event::WorkflowEnded {
                        workflow: instance.workflow.clone(),
                        outcome: outcome.as_str(),
                        state: instance.state.clone(),
                    };
                    audit::record(self.tx, self.origin, Some(instance.id), stored.changed_at, &event)?;
                }
                if let Some(parent) = &instance.parent {
                    let end = ChildEnd { outcome, result: instance.result.clone().unwrap_or_default() };
                    let arrival = Arrival::ChildEnded { step: parent.step, index: parent.index, end };
                    self.arrivals.push_back((parent.id, arrival));
                }
            }
        }
        Ok(None)
    }

    async fn perform(
        &mut self,
        stored: &Stored,
        activity: String,
        parameters: Map<String, Value>,
    ) -> Result<Option<Event>, EngineError> {
        let instance = &stored.instance;
        let step = instance.step;
        let implementation =
            self.engine.inner.registry.activity(&activity).ok_or(EngineError::Inconsistent("unknown activity"))?;
        if let Some(failure) = self.engine.failures.of(instance.id, step) {
            return Ok(Some(failure));
        }
        let call = self.call(stored);
        let parameters = Value::Object(parameters);
        match implementation.plan(self.tx, &call, parameters.clone()).await {
            Ok(Planned::Done((outcome, result))) => Ok(Some(Event::Completed { step, outcome, result })),
            Ok(Planned::Perform(plan)) => {
                // Leased to this node from the start: it performs what it planned without another commit.
                let row = WorkRecord {
                    id: random::id(),
                    instance: instance.id,
                    step: i64::try_from(step).unwrap_or(i64::MAX),
                    activity,
                    definition: definition_name(&instance.workflow, instance.version),
                    parameters,
                    plan,
                    lease_owner: Some(self.engine.node().to_owned()),
                    lease_epoch: 1,
                    lease_until: None,
                    created_at: stored.changed_at,
                };
                work::defer_insert(self.tx, row.clone(), LEASE);
                self.after.work.push((row, call));
                Ok(None)
            }
            Err(failure) => Err(undo(instance.id, step, failure)),
        }
    }

    async fn queue(
        &mut self,
        stored: &Stored,
        name: String,
        parameters: Map<String, Value>,
    ) -> Result<(), EngineError> {
        let job = self.engine.inner.registry.job(&name).ok_or(EngineError::Inconsistent("unknown job"))?;
        let call = self.call(stored);
        let parameters = Value::Object(parameters);
        let (card, plan) = job.plan(self.tx, &call, parameters.clone()).await?;
        let row = JobRecord {
            id: random::id(),
            root: stored.root,
            instance: stored.instance.id,
            step: call.step(),
            name,
            card,
            parameters,
            plan,
            state: JobState::Queued,
            created_at: stored.changed_at,
            ended_at: None,
        };
        jobs::defer_insert(self.tx, row);
        Ok(())
    }

    async fn start_child(
        &mut self,
        stored: &Stored,
        index: usize,
        workflow: &str,
        arguments: Map<String, Value>,
        role: Option<String>,
    ) -> Result<(), EngineError> {
        let definition = self.engine.definitions().current(workflow).cloned();
        let definition = definition.ok_or_else(|| EngineError::Definition { name: workflow.to_owned(), version: 0 })?;
        let parent = &stored.instance;
        let start = Begin {
            id: self.engine.failures.child(parent.id, parent.step, index),
            owner: parent.owner.clone(),
            requester: parent.requester.clone(),
            role: role.unwrap_or_else(|| parent.role.clone()),
            parent: Some(Parent { id: parent.id, step: parent.step, index }),
            arguments,
            policy: self.engine.inner.policy.clone(),
        };
        let root = stored.root;
        let begun: Boxed<'_, Result<(), EngineError>> = Box::pin(self.begin(&definition, start, root));
        begun.await
    }

    /// Reads the inbox of an instance: all arrivals in one go.
    pub async fn read_inbox(&mut self, id: Uuid) -> Result<(), EngineError> {
        // Locked before it is read: of two nodes the second one finds nothing.
        if self.lock(id).await?.is_none() {
            return Ok(());
        }
        let arrivals = inbox::arrivals(self.tx, id).await?;
        inbox::remove(self.tx, arrivals.iter().map(|row| row.id).collect()).await?;
        for row in arrivals {
            let arrival =
                serde_json::from_value::<Arrival>(row.event).map_err(|_| EngineError::Inconsistent("inbox"))?;
            self.receive(id, arrival).await?;
        }
        Ok(())
    }

    async fn receive(&mut self, id: Uuid, arrival: Arrival) -> Result<(), EngineError> {
        let Some(stored) = self.lock(id).await? else { return Ok(()) };
        match self.apply(stored, arrival.into()).await {
            // What comes too late changes nothing.
            Ok(()) | Err(EngineError::Rejected(step::Rejection::Stale)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Lets instances receive what they were told, where they can in this transaction, and has all of them written at its end.
    pub async fn finish(mut self) -> Result<After, EngineError> {
        let mut received = 0;
        while let Some((id, arrival)) = self.arrivals.pop_front() {
            received += 1;
            if received <= MAXIMUM_STEPS && self.is_ready(id, &arrival).await? {
                fail_point!(async "engine.inbox");
                self.receive(id, arrival).await?;
            } else {
                self.post(id, &arrival).await?;
            }
        }
        self.loaded.write(self.tx)?;
        Ok(self.after)
    }

    /// Whether an instance can take a step in this transaction. Several transactions at a time lock upwards only, and never wait:
    /// children that end together leave their parent to whoever comes first.
    async fn is_ready(&mut self, id: Uuid, arrival: &Arrival) -> Result<bool, EngineError> {
        let stored = match arrival {
            _ if self.tx.is_alone() => self.loaded.lock(self.tx, id).await?,
            Arrival::ChildEnded { .. } => self.loaded.lock_if_free(self.tx, id).await?,
            Arrival::Cancelled => None,
        };
        let definitions = self.engine.definitions();
        Ok(stored.is_some_and(|of| definitions.of(&of.instance.workflow, of.instance.version).is_ok()))
    }

    /// Leaves an arrival in the inbox.
    async fn post(&mut self, instance: Uuid, arrival: &Arrival) -> Result<(), EngineError> {
        let event = serde_json::to_value(arrival).map_err(|_| EngineError::Inconsistent("inbox"))?;
        let arrived_at = self.engine.clock().now_ms();
        inbox::post(self.tx, InboxRecord { id: random::id(), instance, event, arrived_at }).await?;
        self.after.inboxes.push(instance);
        Ok(())
    }

    pub fn call(&self, stored: &Stored) -> Call {
        Call {
            instance: stored.instance.clone(),
            root: stored.root,
            now: self.engine.clock().now(),
            origin: self.origin.clone(),
        }
    }
}
