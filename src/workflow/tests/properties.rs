//! Whatever happens in whatever order, a verified definition never leaves an instance without a way on.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::begin::{NOW, begun};
use super::catalog::catalog;
use crate::definition::{Definition, EndOutcome};
use crate::instance::{Actor, ChildEnd, Event, Instance, Person, Status, Timer, Waiting};
use crate::library::Library;
use crate::step::{Rejection, Step, step};

const SOURCE: &str =
    concat!(include_str!("definitions/ok/if-cancelled.yaml"), "=====\n", include_str!("definitions/ok/four-eyes.yaml"));

fn library() -> Library {
    super::begin::library(SOURCE)
}

fn started(definition: &Definition) -> Instance {
    begun(definition, "alice").instance
}

fn any_event() -> impl Strategy<Value = (u64, u8, u8)> {
    (0_u64..6, 0_u8..11, 0_u8..4)
}

/// Of the step that the instance is in; one in six of the step before it.
fn event(instance: &Instance, (back, kind, choice): (u64, u8, u8)) -> Event {
    let step = instance.step.saturating_sub(back / 5);
    let words = ["signed", "refused", "done", "proved"];
    match kind {
        0 | 1 => {
            Event::Completed { step, outcome: words[usize::from(choice)].to_owned(), result: json!({ "id": "c1" }) }
        }
        2 => Event::Failed { step, class: "unavailable".to_owned(), jitter: u32::from(choice) * 300 },
        3 => Event::TimerFired {
            step,
            timer: [Timer::Retry, Timer::StateDeadline, Timer::Deadline][usize::from(choice % 3)],
        },
        4 | 5 => {
            let outcome = EndOutcome::ALL[usize::from(choice % 3)];
            let result = match outcome {
                EndOutcome::Success => Map::from_iter([("certificate".to_owned(), json!({ "id": "c1" }))]),
                _ => Map::new(),
            };
            Event::ChildEnded { step, index: usize::from(choice % 3), end: ChildEnd { outcome, result } }
        }
        6 => Event::Cancelled { to: None },
        7 => Event::Resumed { step },
        8 => Event::Claimed { step, actor: actor(choice) },
        9 => Event::Released { step, actor: actor(choice) },
        _ => Event::Acted {
            step,
            action: ["go-on", "approve", "confirm", "withdraw"][usize::from(choice)].to_owned(),
            // Each action is tried by two people: an approval of several is never one person's.
            actor: actor((choice + u8::from(back % 2 == 1)) % 4),
            fields: Map::new(),
            shown: format!("{}", back / 3),
        },
    }
}

fn actor(choice: u8) -> Actor {
    let (login, role) = [("alice", "user"), ("rita", "ra-operator"), ("ralf", "ra-operator"), ("alice", "ra-operator")]
        [usize::from(choice)];
    Actor { person: Person::new(login), role: role.to_owned() }
}

/// Whether an event belongs to a step that is over; a cancellation and the deadline of the whole belong to none.
fn is_stale(instance: &Instance, event: &Event) -> bool {
    match event {
        Event::Cancelled { .. } | Event::TimerFired { timer: Timer::Deadline, .. } => false,
        Event::Completed { step, .. }
        | Event::Failed { step, .. }
        | Event::TimerFired { step, .. }
        | Event::ChildEnded { step, .. }
        | Event::Resumed { step }
        | Event::Claimed { step, .. }
        | Event::Released { step, .. }
        | Event::Acted { step, .. }
        | Event::ConditionHeld { step } => *step != instance.step,
    }
}

/// A running instance waits for something that can still come.
fn has_a_way_on(instance: &Instance) -> bool {
    match &instance.waiting {
        Waiting::Nothing => !instance.is_open(),
        Waiting::Children(children) => instance.is_open() && children.running() > 0,
        _ => instance.is_open(),
    }
}

/// What has got stuck can be tried again, and ended; what must not be left half done stays stuck until it is tried again.
fn can_be_repaired(definition: &Definition, instance: &Instance) -> bool {
    if instance.status != Status::Stuck {
        return true;
    }
    let try_event = |event| step(definition, instance.clone(), event, NOW);
    let goes_on = definition.state(&instance.state).is_some_and(|state| state.goes_on_when_cancelled());
    let stays = |cancelled: Step| cancelled.instance.status == Status::Stuck && cancelled.effects.is_empty();
    try_event(Event::Resumed { step: instance.step }).is_ok()
        && try_event(Event::Cancelled { to: None }).is_ok_and(|cancelled| stays(cancelled) == goes_on)
}

proptest! {
    /// By whoever and about whatever, in any order: the second of two people who say yes to the same is the last, and nobody else counts.
    #[test]
    fn four_eyes_are_two_people_who_saw_the_same(answers in proptest::collection::vec((0_u8..4, 0_u8..2), 1..12)) {
        let library = library();
        let definition = library.get("approval").expect("the fixture");
        let mut instance = started(definition);
        let mut yes: Vec<(String, u8)> = Vec::new();
        for (choice, shown) in answers {
            let actor = actor(choice);
            let login = actor.person.login.clone();
            let counts = actor.role == "ra-operator" && login != "alice" && !yes.contains(&(login.clone(), shown));
            let event = Event::Acted {
                step: instance.step,
                action: "approve".to_owned(),
                actor,
                fields: Map::new(),
                shown: shown.to_string(),
            };
            let next = step(definition, instance.clone(), event, NOW);
            prop_assert_eq!(next.is_ok(), counts);
            let Ok(next) = next else { continue };
            yes.retain(|(_, other)| *other == shown);
            yes.push((login, shown));
            instance = next.instance;
            prop_assert_eq!(instance.state.as_str(), if yes.len() == 2 { "confirm" } else { "approve" });
            if yes.len() == 2 {
                break;
            }
        }
    }

    #[test]
    fn an_instance_always_has_a_way_on_and_stale_events_change_nothing(events in proptest::collection::vec(any_event(), 1..40)) {
        let library = library();
        for definition in library.all() {
            let mut instance = started(definition);
            prop_assert!(has_a_way_on(&instance));
            for raw in &events {
                let event = event(&instance, *raw);
                match step(definition, instance.clone(), event.clone(), NOW) {
                    Ok(next) => {
                        prop_assert!(!is_stale(&instance, &event), "{event:?}");
                        prop_assert!(next.instance.step >= instance.step);
                        prop_assert!(has_a_way_on(&next.instance), "{:?} after {event:?}", next.instance);
                        prop_assert!(can_be_repaired(definition, &next.instance), "{:?} after {event:?}", next.instance);
                        instance = next.instance;
                    }
                    Err(Rejection::Definition(why)) => prop_assert!(false, "{why}"),
                    Err(_) => {}
                }
            }
        }
    }

    #[test]
    fn the_same_events_give_the_same_instance(events in proptest::collection::vec(any_event(), 1..40)) {
        let library = library();
        for definition in library.all() {
            let play = || events.iter().fold(started(definition), |instance, raw| {
                let event = event(&instance, *raw);
                step(definition, instance.clone(), event, NOW).map(|next| next.instance).unwrap_or(instance)
            });
            prop_assert_eq!(play(), play());
        }
    }

    #[test]
    fn reading_never_panics(source in ".{0,400}") {
        drop(crate::parse::parse("any.yaml", &source));
        drop(crate::guard::read(&source));
        drop(crate::scenario::run(&source, |_| None));
    }

    #[test]
    fn reading_a_damaged_file_never_panics(cut in 0_usize..2000, put in "[\\[\\]{}:,\\-\n \"'a-z]{0,8}") {
        let mut damaged: Vec<char> = SOURCE.chars().collect();
        let at = cut % damaged.len();
        damaged.splice(at..at, put.chars());
        let damaged: String = damaged.into_iter().collect();
        drop(Library::load([("damaged.yaml", damaged.as_str())], &catalog()));
    }

    #[test]
    fn a_guard_over_any_data_has_a_value_or_none(text in "[a-z.&|!=<> ()\\[\\]0-9\"]{0,60}", value in any::<i64>()) {
        if let Ok(guard) = crate::guard::read(&text) {
            let data = Map::from_iter([("a".to_owned(), Value::from(value))]);
            let _: Option<bool> = crate::guard::evaluate(&guard, &data, &mut crate::guard::Budget::default());
        }
    }
}
