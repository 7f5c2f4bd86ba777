//! A version that was released before its activity got another outcome.

use serde_json::Value;

use super::begin::{NOW, begun};
use super::catalog::catalog;
use crate::definition::Definition;
use crate::instance::{Effect, Event, Instance, Status, Timer, Waiting};
use crate::library::Library;
use crate::step::step;

/// The directory's `not-found` leads nowhere.
const SOURCE: &str = include_str!("definitions/bad/outcomes-forgotten.yaml");
/// The card's `not-proved` leads nowhere.
const CARD: &str = "\
workflow: fixture
version: 1
title: A fixture
start: { by: [user] }
repair: [ca-operator]
states:
  prove:
    card: prove
    deadline: { after: 1h, to: again }
    next: { proved: done }
  again:
    ask: Shall it begin again?
    actions:
      go-on: { by: owner, to: prove }
    deadline: { after: 1h, to: failed }
  done: { end: success }
  failed: { end: failure }
";

fn library(source: &str) -> Library {
    assert!(Library::load([("fixture.yaml", source)], &catalog()).is_err());
    Library::load_released([("fixture.yaml", source)], "fixture.yaml", &catalog()).expect("it is released")
}

/// An instance that has met an outcome that its definition does not know.
fn stuck(definition: &Definition, outcome: &str) -> Instance {
    let begun = begun(definition, "alice").instance;
    let completed = Event::Completed { step: begun.step, outcome: outcome.to_owned(), result: Value::Null };
    let stuck = step(definition, begun, completed, NOW).expect("a step").instance;
    assert_eq!(stuck.status, Status::Stuck);
    stuck
}

#[test]
fn an_outcome_that_a_released_version_does_not_know_waits_for_an_operator() {
    let library = library(SOURCE);
    let definition = library.all().next().expect("it is there");
    let stuck = stuck(definition, "not-found");
    let cancelled = step(definition, stuck.clone(), Event::Cancelled { to: None }, NOW).expect("a step").instance;
    assert_eq!(cancelled.status, Status::Cancelled);
    let resumed = step(definition, stuck.clone(), Event::Resumed { step: stuck.step }, NOW).expect("a step");
    assert!(matches!(resumed.effects.as_slice(), [Effect::Perform { .. }]), "{:?}", resumed.effects);
}

/// It is queued anew; or its time is over, and what comes then is not stuck.
#[test]
fn a_cards_job_that_is_stuck_has_its_deadline_still() {
    let library = library(CARD);
    let definition = library.all().next().expect("it is there");
    let stuck = stuck(definition, "not-proved");
    let resumed = step(definition, stuck.clone(), Event::Resumed { step: stuck.step }, NOW).expect("a step");
    assert!(matches!(resumed.effects.as_slice(), [Effect::Queue { .. }]), "{:?}", resumed.effects);
    assert_eq!((resumed.instance.status, resumed.instance.waiting), (Status::Running, Waiting::Job));
    let fired = Event::TimerFired { step: stuck.step, timer: Timer::StateDeadline };
    let late = step(definition, stuck, fired, NOW).expect("a step").instance;
    assert_eq!((late.state.as_str(), late.status, late.waiting), ("again", Status::Running, Waiting::Person));
}
