//! Events as the inbox keeps them and as the history names them.

use sealwright_workflow::instance::{ChildEnd, Event};
use serde::{Deserialize, Serialize};

use super::EngineError;
use super::contract::Failure;
use crate::random;

/// An event as it lies in an inbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Arrival {
    ChildEnded { step: u64, index: usize, end: ChildEnd },
    Cancelled,
}

impl From<Arrival> for Event {
    fn from(arrival: Arrival) -> Self {
        match arrival {
            Arrival::ChildEnded { step, index, end } => Event::ChildEnded { step, index, end },
            Arrival::Cancelled => Event::Cancelled { to: None },
        }
    }
}

/// A failed plan or performance as an event.
pub(super) fn failed(step: u64, failure: Failure) -> Result<Event, EngineError> {
    let jitter = || u32::from_be_bytes(random::bytes::<4>().unwrap_or_default()) % 1000;
    match failure {
        Failure::Retry(class) | Failure::Fail(class) => {
            Ok(Event::Failed { step, class: class.as_str().to_owned(), jitter: jitter() })
        }
        Failure::Store(error) => Err(EngineError::Store(error)),
    }
}

/// An event's name and what the history says of it. Never a value.
pub(super) fn described(event: &Event) -> (&'static str, Option<String>) {
    match event {
        Event::Acted { action, .. } => ("acted", Some(action.clone())),
        Event::Completed { outcome, .. } => ("completed", Some(outcome.clone())),
        Event::Failed { class, .. } => ("failed", Some(class.clone())),
        Event::TimerFired { timer, .. } => ("timer", Some(timer.as_str().to_owned())),
        Event::ChildEnded { end, .. } => ("child-ended", Some(end.outcome.as_str().to_owned())),
        Event::ConditionHeld { .. } => ("condition-held", None),
        Event::Cancelled { .. } => ("cancelled", None),
        Event::Claimed { .. } => ("claimed", None),
        Event::Released { .. } => ("released", None),
        Event::Resumed { .. } => ("resumed", None),
    }
}
