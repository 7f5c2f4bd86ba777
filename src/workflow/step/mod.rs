//! The step function: what one event does to one instance.
//!
//! | waiting for | accepts | because |
//! |---|---|---|
//! | a person | `Acted`, `Claimed`, `Released`, state deadline | the action's rights are checked here; an approval of several stays until the last |
//! | an activity | `Completed`, `Failed`, retry timer | a cancellation waits for the outcome: the effect may have happened |
//! | a job | `Completed`, state deadline | a cancellation leaves at once: the job is withdrawn |
//! | children | `ChildEnded` | a cancellation is handed on and waits for them |
//! | a condition | `ConditionHeld`, state deadline | |
//! | an operator | `Resumed` | |
//!
//! Every event names the step it belongs to; a stale one changes nothing ([`Rejection::Stale`]).

mod children;
mod machine;
mod rights;
mod scope;
mod sentence;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::definition::{Default as FieldDefault, Definition};
use crate::instance::{Effect, Event, Instance, Parent, Person, Status, Timer, Waiting};

pub use rights::{About, checked_fields, is_party, may_act, may_claim, needed};
pub use sentence::{fill, places};

use machine::Machine;

/// An accepted event: the next instance and what is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub instance: Instance,
    pub effects: Vec<Effect>,
}

/// Why an event changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the event belongs to a step that is over")]
    Stale,
    #[error("the state `{state}` does not wait for this")]
    NotExpected { state: String },
    #[error("the state `{state}` has no action `{action}`")]
    UnknownAction { state: String, action: String },
    #[error("`{action}` may not be taken by this person in this role")]
    Forbidden { action: String },
    #[error("somebody else works on this")]
    Claimed,
    #[error("`{action}` was taken by this person before")]
    Twice { action: String },
    #[error("the field `{field}` is missing or not as asked for")]
    Field { field: String },
    #[error("`{outcome}` is no outcome of the state `{state}`")]
    UnknownOutcome { state: String, outcome: String },
    #[error("the definition does not fit the instance: {0}")]
    Definition(String),
}

/// What is needed to begin an instance.
#[derive(Clone, Debug)]
pub struct Begin {
    pub id: Uuid,
    pub owner: Person,
    pub requester: Person,
    pub role: String,
    pub parent: Option<Parent>,
    pub arguments: Map<String, Value>,
    /// Values of the configuration, by `policy.` path.
    pub policy: BTreeMap<String, Value>,
}

/// Begins an instance at the first state of the definition.
///
/// # Errors
/// [`Rejection::Field`] when a required field is not given, [`Rejection::Definition`] when the definition names what is not there.
pub fn begin(definition: &Definition, begin: Begin, now: OffsetDateTime) -> Result<Step, Rejection> {
    let first = definition.states.first().ok_or_else(|| unfit("there is no state"))?;
    let mut data = Map::new();
    for (name, field) in &definition.data {
        let value = match (begin.arguments.get(name), &field.default) {
            (Some(value), _) => value.clone(),
            (None, Some(FieldDefault::Literal(value))) => value.clone(),
            (None, Some(FieldDefault::Policy(path))) => {
                begin.policy.get(path).cloned().ok_or_else(|| unfit(&format!("no policy `{path}`")))?
            }
            (None, None) => Value::Null,
        };
        data.insert(name.clone(), value);
    }
    let instance = Instance {
        id: begin.id,
        workflow: definition.name.text.clone(),
        version: definition.version,
        state: first.name.text.clone(),
        step: 0,
        entered_at: 0,
        status: Status::Running,
        waiting: Waiting::Nothing,
        cancelling: None,
        data,
        approvals: Vec::new(),
        claimed_by: None,
        owner: begin.owner,
        requester: begin.requester,
        role: begin.role,
        parent: begin.parent,
        result: None,
        say: None,
    };
    let mut machine = Machine { definition, instance, effects: Vec::new(), now };
    // A child is part of a tree that somebody else has begun: what two trees do at once, their activities settle.
    if machine.instance.parent.is_none() {
        for held in &definition.holds {
            machine.hold(&held.text)?;
        }
    }
    if let Some(deadline) = &definition.deadline {
        machine.arm(Timer::Deadline, deadline.after);
    }
    machine.enter(first)?;
    Ok(machine.finish())
}

/// Applies one event.
///
/// # Errors
/// A [`Rejection`] leaves the instance as it was.
pub fn step(definition: &Definition, instance: Instance, event: Event, now: OffsetDateTime) -> Result<Step, Rejection> {
    if !instance.is_open() {
        return Err(Rejection::Stale);
    }
    let state =
        definition.state(&instance.state).ok_or_else(|| unfit(&format!("there is no state `{}`", instance.state)))?;
    let mut machine = Machine { definition, instance, effects: Vec::new(), now };
    machine.apply(state, event)?;
    Ok(machine.finish())
}

fn unfit(why: &str) -> Rejection {
    Rejection::Definition(why.to_owned())
}
