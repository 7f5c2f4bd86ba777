//! Tries until a deadline: how long is waited, and where it ends.

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::begin::{NOW, begun, library};
use crate::definition::Definition;
use crate::instance::{Effect, Event, Instance, Status, Timer, Waiting};
use crate::step::step;

const SOURCE: &str = include_str!("definitions/ok/retries.yaml");

/// What comes of one more failure: the instance, and when the next try is due.
fn failed(definition: &Definition, instance: Instance, now: OffsetDateTime) -> (Instance, Option<OffsetDateTime>) {
    let event = Event::Failed { step: instance.step, class: "unavailable".to_owned(), jitter: 0 };
    let found = step(definition, instance, event, now).expect("a step");
    let due = found.effects.iter().find_map(|effect| match effect {
        Effect::Arm { timer: Timer::Retry, at } => Some(*at),
        _ => None,
    });
    (found.instance, due)
}

/// The last try is made at the deadline, and what it brings counts.
#[test]
fn it_is_tried_until_the_deadline_of_the_state_and_not_longer() {
    let library = library(SOURCE);
    let definition = library.get("until-its-own").expect("it is there");
    let (mut instance, mut now, mut tries) = (begun(definition, "alice").instance, NOW, 0_u32);
    while let (waiting, Some(due)) = failed(definition, instance.clone(), now) {
        assert!(due - now <= Duration::minutes(1) && due <= NOW + Duration::hours(1), "{due}");
        let Waiting::Activity { attempts, failing: Some(failing) } = &waiting.waiting else { panic!("{waiting:?}") };
        tries += 1;
        assert_eq!((*attempts, failing.since, failing.next), (tries, 0, due.unix_timestamp()));
        let retry = Event::TimerFired { step: waiting.step, timer: Timer::Retry };
        (instance, now) = (step(definition, waiting, retry, due).expect("a step").instance, due);
    }
    assert_eq!(now, NOW + Duration::hours(1));
    assert!(tries > 60, "{tries}");
    let found = Event::Completed { step: instance.step, outcome: "found".to_owned(), result: Value::Null };
    assert_eq!(step(definition, instance.clone(), found, now).expect("a step").instance.state, "done");
    let (over, _) = failed(definition, instance, now);
    assert_eq!((over.state.as_str(), over.status), ("away", Status::Failure));
}

/// Its activity is not broken off: a timer of the state's deadline, should there be one, counts for nothing.
#[test]
fn an_activity_is_not_broken_off_by_its_deadline() {
    let library = library(SOURCE);
    let definition = library.get("until-its-own").expect("it is there");
    let begun = begun(definition, "alice");
    assert!(!begun.effects.iter().any(|effect| matches!(effect, Effect::Arm { .. })), "{:?}", begun.effects);
    let fired = Event::TimerFired { step: begun.instance.step, timer: Timer::StateDeadline };
    assert!(step(definition, begun.instance, fired, NOW + Duration::days(1)).is_err());
}

#[test]
fn the_deadline_of_all_ends_what_is_tried_until_then() {
    let library = library(SOURCE);
    let definition = library.get("until-that-of-all").expect("it is there");
    let (waiting, _) = failed(definition, begun(definition, "alice").instance, NOW);
    let late = NOW + Duration::hours(1);
    let deadline = Event::TimerFired { step: waiting.step, timer: Timer::Deadline };
    let asked = step(definition, waiting, deadline, late).expect("a step").instance;
    assert_eq!(asked.status, Status::Running);
    let (over, due) = failed(definition, asked, late);
    assert_eq!((over.state.as_str(), due), ("away", None));
}
