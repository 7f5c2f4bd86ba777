//! One run of a workflow, as plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::definition::EndOutcome;

/// A human by the name that the sign-in gave, in the canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person {
    pub login: String,
}

impl Person {
    pub fn new(login: impl Into<String>) -> Self {
        Self { login: login.into() }
    }
}

/// Who does something, and in which role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    pub person: Person,
    pub role: String,
}

/// The state of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub id: Uuid,
    pub workflow: String,
    pub version: u32,
    pub state: String,
    /// Counts the states entered; a report that names another step is stale.
    pub step: u64,
    pub entered_at: i64,
    pub status: Status,
    pub waiting: Waiting,
    /// Set once a deadline, the parent or an operator has ended the instance; it then only tidies up.
    pub cancelling: Option<Cancelling>,
    pub data: Map<String, Value>,
    /// Who has said yes in the present state, of those that it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// Who works on the present state's question, so that others need not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<Person>,
    /// The person the credential is for.
    pub owner: Person,
    /// The human who began the tree.
    pub requester: Person,
    /// The role that the instance runs under.
    pub role: String,
    pub parent: Option<Parent>,
    /// What an ended instance gave to its parent.
    pub result: Option<Map<String, Value>>,
    /// The closing sentence.
    pub say: Option<String>,
}

impl Instance {
    pub fn is_open(&self) -> bool {
        matches!(self.status, Status::Running | Status::Stuck)
    }
}

/// One person's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub action: String,
    pub person: Person,
    /// The digest of what was shown to this person.
    pub shown: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Running,
    /// An activity failed for good; an operator decides.
    Stuck,
    Success,
    Failure,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 5] = [Self::Running, Self::Stuck, Self::Success, Self::Failure, Self::Cancelled];

    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Stuck => "stuck",
            Status::Success => "success",
            Status::Failure => "failure",
            Status::Cancelled => "cancelled",
        }
    }
}

impl From<EndOutcome> for Status {
    fn from(outcome: EndOutcome) -> Self {
        match outcome {
            EndOutcome::Success => Status::Success,
            EndOutcome::Failure => Status::Failure,
            EndOutcome::Cancelled => Status::Cancelled,
        }
    }
}

/// What the current state waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    Person,
    Activity {
        attempts: u32,
        /// Set while the next try is waited for, and while it is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failing: Option<Failing>,
    },
    Job,
    Children(Children),
    Condition,
    /// A dead letter: why the activity failed, by its class.
    Operator {
        class: String,
    },
    Nothing,
}

/// Tries that have failed, one after another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// The class of the last failure.
    pub class: String,
    /// When the first of them failed, as Unix time in seconds.
    pub since: i64,
    /// When the next try is due, as Unix time in seconds.
    pub next: i64,
}

/// The children of a `run` or `fork` state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Children {
    /// The arguments of each child; for a `run` there is one.
    pub arguments: Vec<Map<String, Value>>,
    pub started: usize,
    pub ended: BTreeMap<usize, ChildEnd>,
}

impl Children {
    pub fn running(&self) -> usize {
        self.started - self.ended.len()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildEnd {
    pub outcome: EndOutcome,
    pub result: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "cause")]
pub enum Cancelling {
    /// Asked to end; the way out by `if-cancelled` is still before it.
    Asked { to: Option<String> },
    /// On the way out.
    Leaving { to: Option<String> },
}

/// The instance that started this one, and which of its children this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub id: Uuid,
    pub step: u64,
    pub index: usize,
}

/// Something that happened, told to one instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A person took an action of an `ask` state.
    Acted {
        step: u64,
        action: String,
        actor: Actor,
        fields: Map<String, Value>,
        /// The digest of what the person was shown; the host has compared it with what is shown now.
        shown: String,
    },
    /// A person takes the present question upon themselves.
    Claimed {
        step: u64,
        actor: Actor,
    },
    /// The question is everybody's again.
    Released {
        step: u64,
        actor: Actor,
    },
    /// An activity or a card job came to an outcome.
    Completed {
        step: u64,
        outcome: String,
        result: Value,
    },
    /// An activity failed without an outcome.
    Failed {
        step: u64,
        /// A class that `retry` may name.
        class: String,
        /// A number in `0..=1000` that shortens the wait, so that many instances do not come back together.
        jitter: u32,
    },
    /// A timer that an earlier step armed.
    TimerFired {
        step: u64,
        timer: Timer,
    },
    ChildEnded {
        step: u64,
        index: usize,
        end: ChildEnd,
    },
    /// The condition of a `wait` state holds.
    ConditionHeld {
        step: u64,
    },
    /// The parent, a person with the right or an operator ends the instance.
    Cancelled {
        /// Where it goes when no `if-cancelled` says otherwise; else it ends where it is.
        to: Option<String>,
    },
    /// An operator sends a stuck activity on its way again.
    Resumed {
        step: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timer {
    /// The next attempt of an activity.
    Retry,
    /// The deadline of a state.
    StateDeadline,
    /// The deadline of the whole instance.
    Deadline,
}

impl Timer {
    pub fn as_str(self) -> &'static str {
        match self {
            Timer::Retry => "retry",
            Timer::StateDeadline => "state-deadline",
            Timer::Deadline => "deadline",
        }
    }

    /// The timer of a name.
    pub fn from_word(word: &str) -> Option<Self> {
        [Timer::Retry, Timer::StateDeadline, Timer::Deadline].into_iter().find(|timer| timer.as_str() == word)
    }
}

/// What a step wants done. The engine stores all of them in the step's transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Run an activity; the instance's `step` is part of its idempotency key.
    Perform {
        activity: String,
        parameters: Map<String, Value>,
    },
    /// Queue a job for the agent.
    Queue {
        job: String,
        parameters: Map<String, Value>,
    },
    /// The job of the state that was left is no longer wanted.
    Withdraw {
        step: u64,
    },
    Start {
        index: usize,
        workflow: String,
        arguments: Map<String, Value>,
        /// `None` keeps the parent's role.
        role: Option<String>,
    },
    /// End the children of the current state.
    CancelChildren,
    Arm {
        timer: Timer,
        at: OffsetDateTime,
    },
    /// Look at a condition of the world, now and whenever it may have changed.
    Watch {
        condition: String,
        /// The subject of the condition, where it has several.
        subject: Option<String>,
    },
    /// Hold what this value names, against every other instance.
    Hold {
        what: String,
        key: String,
    },
    /// The instance has ended: tell the parent, release what is held, forget timers.
    End {
        outcome: EndOutcome,
    },
}
