//! What an activity and a card job are to the engine.
//!
//! An activity has three parts. `plan` runs in the transaction of the step that wants it and stores what is about to happen; `perform`
//! runs without a transaction, at least once; `record` runs in the transaction of the next step and turns what happened into
//! an outcome. A card job has `plan` and `record`; the agent performs it.
//!
//! An activity that only changes the database is a [`LocalActivity`]: one function in the step's transaction.
//!
//! To add an activity: one file in `activities/<subject>/` with its parameters, outcomes and the three
//! parts, and one line in the list of its `mod.rs`.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_protocol::{Instruction, Report};
use sealwright_workflow::catalog::{Catalog, CertificateEffect};
use sealwright_workflow::instance::Instance;
use sealwright_workflow::types::UnknownSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::audit::Origin;
use crate::store::{Access, Reader, StoreError, Tx};

pub use super::failure::{Failure, FailureClass};

/// Which call it is. Instance and step are the idempotency key: the same for every attempt.
#[derive(Clone, Debug)]
pub struct Call {
    pub instance: Instance,
    pub root: Uuid,
    pub now: OffsetDateTime,
    pub origin: Origin,
}

impl Call {
    pub fn step(&self) -> i64 {
        i64::try_from(self.instance.step).unwrap_or(i64::MAX)
    }
}

/// What a plan came to.
#[derive(Debug)]
pub enum Planned<P, O> {
    /// Nothing outside is needed: the instance goes on by this outcome in the same transaction.
    Done(O),
    /// Kept with the step, and performed once the transaction is committed.
    Perform(P),
}

/// An effect on the world that a `do` state asks for.
#[async_trait]
pub trait Activity: Send + Sync + 'static {
    /// What a `do` state calls it.
    const NAME: &'static str;
    /// Classes of [`Failure::Retry`].
    const FAILURES: &'static [FailureClass] = &[];
    /// What it does to a certificate, for the rule that demands `if-cancelled`.
    const CERTIFICATE: CertificateEffect = CertificateEffect::None;

    /// What `with` gives it.
    type Parameters: DeserializeOwned + JsonSchema + Send + Sync;
    /// What `perform` and `record` need of the plan. It is in the database as JSON until the outcome is recorded.
    type Plan: Serialize + DeserializeOwned + Send + Sync;
    /// What `perform` brings to `record`, in memory alone: it is lost with the node, and then performed anew.
    type Performed: Send + Sync;
    /// The outcomes that `next` names, one a variant, each with its result.
    type Outcome: Serialize + JsonSchema + Send;

    /// Runs in the transaction of the step that wants the activity, and of each further attempt; may run again after a rollback. Stores what is
    /// about to happen.
    ///
    /// # Errors
    /// [`Failure`].
    async fn plan(
        &self,
        tx: &Tx,
        call: &Call,
        parameters: Self::Parameters,
    ) -> Result<Planned<Self::Plan, Self::Outcome>, Failure>;

    /// Runs outside any transaction, at least once, perhaps on another node: it must be safe to repeat with the same plan.
    ///
    /// # Errors
    /// [`Failure`].
    async fn perform(&self, call: &Call, plan: &Self::Plan) -> Result<Self::Performed, Failure>;

    /// Runs in the transaction of the next step, only while the lease is still this node's; may run again after a rollback.
    ///
    /// # Errors
    /// [`Failure`].
    async fn record(
        &self,
        tx: &Tx,
        call: &Call,
        plan: Self::Plan,
        performed: &Self::Performed,
    ) -> Result<Self::Outcome, Failure>;
}

/// An activity that only reads and changes the database: all of it happens in the transaction of the step that wants it.
#[async_trait]
pub trait LocalActivity: Send + Sync + 'static {
    const NAME: &'static str;
    const CERTIFICATE: CertificateEffect = CertificateEffect::None;

    type Parameters: DeserializeOwned + JsonSchema + Send + Sync;
    type Outcome: Serialize + JsonSchema + Send;

    /// Runs where [`Activity::plan`] does, and may run again after a rollback.
    ///
    /// # Errors
    /// [`Failure`].
    async fn run(&self, tx: &Tx, call: &Call, parameters: Self::Parameters) -> Result<Self::Outcome, Failure>;
}

#[async_trait]
impl<A: LocalActivity> Activity for A {
    const NAME: &'static str = A::NAME;
    const CERTIFICATE: CertificateEffect = A::CERTIFICATE;

    type Parameters = A::Parameters;
    type Plan = ();
    type Performed = Infallible;
    type Outcome = A::Outcome;

    async fn plan(&self, tx: &Tx, call: &Call, given: A::Parameters) -> Result<Planned<(), A::Outcome>, Failure> {
        Ok(Planned::Done(self.run(tx, call, given).await?))
    }

    async fn perform(&self, _: &Call, (): &()) -> Result<Infallible, Failure> {
        // `plan` always comes to an outcome.
        Err(Failure::Fail(FailureClass::Plan))
    }

    async fn record(&self, _: &Tx, _: &Call, (): (), performed: &Infallible) -> Result<A::Outcome, Failure> {
        match *performed {}
    }
}

/// Looks up the records that can be the subject of a start. They are never taken from the request.
#[async_trait]
pub trait SubjectLookup: Send + Sync + 'static {
    /// The name of the record's type, as data declares it.
    const TYPE: &'static str;

    /// The record with this id and the login of its owner.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn find(&self, access: &impl Access, id: Uuid) -> Result<Option<(Value, String)>, StoreError>;
}

/// Something that a `card` state asks of a card, for the agent to do. A failure undoes the transaction that it happens in: a card's refusal is
/// an outcome.
#[async_trait]
pub trait CardJob: Send + Sync + 'static {
    /// What a `card` state calls it.
    const NAME: &'static str;
    /// What it does to a certificate, for the rule that demands `if-cancelled`.
    const CERTIFICATE: CertificateEffect = CertificateEffect::None;

    /// What `with` gives it.
    type Parameters: DeserializeOwned + JsonSchema + Send + Sync;
    /// What `instruction` and `record` need of the plan. It is in the database as JSON.
    type Plan: Serialize + DeserializeOwned + Send + Sync;
    /// The outcomes that `next` names, one a variant, each with its result.
    type Outcome: Serialize + JsonSchema + Send;

    /// Which card it is for, and what is kept until the report. Secrets are sealed here, before they are sent. Runs in the transaction of the
    /// step that wants the job, and may run again after a rollback.
    ///
    /// # Errors
    /// [`Failure`].
    async fn plan(
        &self,
        tx: &Tx,
        call: &Call,
        parameters: Self::Parameters,
    ) -> Result<(Option<Uuid>, Self::Plan), Failure>;

    /// What the agent is told. Made each time that it is sent, outside any transaction, so that opened secrets are in no table.
    ///
    /// # Errors
    /// [`Failure`].
    async fn instruction(&self, plan: &Self::Plan) -> Result<Instruction, Failure>;

    /// Turns the report into an outcome, in the transaction of the next step, only while the agent still holds the pairing and the job still
    /// waits; may run again after a rollback. `None` for a report that does not answer this job.
    ///
    /// # Errors
    /// [`Failure`].
    async fn record(
        &self,
        tx: &Tx,
        call: &Call,
        plan: Self::Plan,
        report: Report,
    ) -> Result<Option<Self::Outcome>, Failure>;
}

/// A condition of the world that a `wait` state names.
#[async_trait]
pub trait Condition: Send + Sync + 'static {
    /// The name that a `wait` state says.
    const NAME: &'static str;

    /// Whether it holds now. `subject` is what the state has under `about`.
    ///
    /// Called outside any transaction, about once a second on each node, and only while an instance waits for it.
    async fn holds(&self, subject: Option<&str>) -> bool;
}

/// Declares an activity to the workflow language, by its types alone.
///
/// # Errors
/// [`UnknownSchema`] when a type cannot be carried.
pub fn declare_activity<A: Activity>(catalog: &mut Catalog) -> Result<(), UnknownSchema> {
    let failures: Vec<&str> = A::FAILURES.iter().map(|class| class.as_str()).collect();
    catalog.add_activity::<A::Parameters, A::Outcome>(A::NAME, &failures, A::CERTIFICATE)
}

/// Declares a card job to the workflow language, by its types alone.
///
/// # Errors
/// [`UnknownSchema`] when a type cannot be carried.
pub fn declare_job<J: CardJob>(catalog: &mut Catalog) -> Result<(), UnknownSchema> {
    catalog.add_job::<J::Parameters, J::Outcome>(J::NAME, J::CERTIFICATE)
}

/// An outcome's name and its result.
pub type Outcome = (String, Value);

/// An activity without its types: JSON in, JSON out.
#[async_trait]
pub(super) trait ErasedActivity: Send + Sync {
    async fn plan(&self, tx: &Tx, call: &Call, parameters: Value) -> Result<Planned<Value, Outcome>, Failure>;
    async fn perform(&self, call: &Call, plan: &Value) -> Result<Box<dyn Recording>, Failure>;
}

/// What was performed, ready to be recorded; a transaction that is run again records it again.
#[async_trait]
pub(super) trait Recording: Send + Sync {
    async fn record(&self, tx: &Tx, call: &Call) -> Result<Outcome, Failure>;
}

#[async_trait]
pub(super) trait ErasedJob: Send + Sync {
    async fn plan(&self, tx: &Tx, call: &Call, parameters: Value) -> Result<(Option<Uuid>, Value), Failure>;
    async fn instruction(&self, plan: &Value) -> Result<Instruction, Failure>;
    async fn record(&self, tx: &Tx, call: &Call, plan: Value, report: Report) -> Result<Option<Outcome>, Failure>;
}

#[async_trait]
pub(super) trait ErasedCondition: Send + Sync {
    async fn holds(&self, subject: Option<&str>) -> bool;
}

#[async_trait]
impl<C: Condition> ErasedCondition for C {
    async fn holds(&self, subject: Option<&str>) -> bool {
        Condition::holds(self, subject).await
    }
}

#[async_trait]
pub(super) trait ErasedSubjectLookup: Send + Sync {
    async fn find(&self, tx: &Tx, id: Uuid) -> Result<Option<(Value, String)>, StoreError>;

    /// The same outside a transaction, to be shown.
    async fn read(&self, reader: &Reader, id: Uuid) -> Result<Option<(Value, String)>, StoreError>;
}

#[async_trait]
impl<L: SubjectLookup> ErasedSubjectLookup for L {
    async fn find(&self, tx: &Tx, id: Uuid) -> Result<Option<(Value, String)>, StoreError> {
        SubjectLookup::find(self, tx, id).await
    }

    async fn read(&self, reader: &Reader, id: Uuid) -> Result<Option<(Value, String)>, StoreError> {
        SubjectLookup::find(self, reader, id).await
    }
}

pub(super) struct Typed<A>(Arc<A>, PhantomData<A>);

impl<A> Typed<A> {
    pub(super) fn new(inner: A) -> Self {
        Self(Arc::new(inner), PhantomData)
    }
}

/// The definition was verified against these very types: a mismatch is a row of another release.
fn read<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        tracing::error!(%error, "a call does not have the types of its activity");
        Failure::Fail(FailureClass::Types)
    })
}

fn outcome<O: Serialize>(outcome: &O) -> Result<Outcome, Failure> {
    match serde_json::to_value(outcome) {
        Ok(Value::String(name)) => Ok((name, Value::Null)),
        Ok(Value::Object(named)) => named.into_iter().next().ok_or(Failure::Fail(FailureClass::Types)),
        _ => Err(Failure::Fail(FailureClass::Types)),
    }
}

fn write<T: Serialize>(value: &T) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|_| Failure::Fail(FailureClass::Types))
}

#[async_trait]
impl<A: Activity> ErasedActivity for Typed<A> {
    async fn plan(&self, tx: &Tx, call: &Call, parameters: Value) -> Result<Planned<Value, Outcome>, Failure> {
        match self.0.plan(tx, call, read(parameters)?).await? {
            Planned::Done(done) => Ok(Planned::Done(outcome(&done)?)),
            Planned::Perform(plan) => Ok(Planned::Perform(write(&plan)?)),
        }
    }

    async fn perform(&self, call: &Call, plan: &Value) -> Result<Box<dyn Recording>, Failure> {
        let performed = self.0.perform(call, &read::<A::Plan>(plan.clone())?).await?;
        Ok(Box::new(Performed { activity: self.0.clone(), plan: plan.clone(), performed }))
    }
}

struct Performed<A: Activity> {
    activity: Arc<A>,
    plan: Value,
    performed: A::Performed,
}

#[async_trait]
impl<A: Activity> Recording for Performed<A> {
    async fn record(&self, tx: &Tx, call: &Call) -> Result<Outcome, Failure> {
        outcome(&self.activity.record(tx, call, read(self.plan.clone())?, &self.performed).await?)
    }
}

#[async_trait]
impl<J: CardJob> ErasedJob for Typed<J> {
    async fn plan(&self, tx: &Tx, call: &Call, parameters: Value) -> Result<(Option<Uuid>, Value), Failure> {
        let (card, plan) = self.0.plan(tx, call, read(parameters)?).await?;
        Ok((card, write(&plan)?))
    }

    async fn instruction(&self, plan: &Value) -> Result<Instruction, Failure> {
        self.0.instruction(&read::<J::Plan>(plan.clone())?).await
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Value, report: Report) -> Result<Option<Outcome>, Failure> {
        match self.0.record(tx, call, read(plan)?, report).await? {
            Some(found) => outcome(&found).map(Some),
            None => Ok(None),
        }
    }
}
