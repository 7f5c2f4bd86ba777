//! A fork: how many children are under way, and which of them are begun.

use serde_json::{Map, json};

use super::begin::{NOW, begun, library};
use crate::definition::{Definition, EndOutcome};
use crate::instance::{ChildEnd, Effect, Event};
use crate::step::{Step, step};

/// What follows from the end of a child.
fn ended(definition: &Definition, last: Step, index: usize) -> Step {
    let result = Map::from_iter([("certificate".to_owned(), json!({ "id": index.to_string() }))]);
    let end = ChildEnd { outcome: EndOutcome::Success, result };
    let event = Event::ChildEnded { step: last.instance.step, index, end };
    step(definition, last.instance, event, NOW).expect("a step")
}

/// The children that a step begins.
fn started(made: &Step) -> Vec<usize> {
    let started = |effect: &Effect| match effect {
        Effect::Start { index, .. } => Some(*index),
        _ => None,
    };
    made.effects.iter().filter_map(started).collect()
}

/// Two of three at once: the first one stands still, and the third one does not wait for it.
#[test]
fn a_child_that_stands_still_holds_up_no_other() {
    let library = library(include_str!("definitions/ok/recursion.yaml"));
    let definition = library.get("all").expect("it is there");
    let first = begun(definition, "alice");
    assert_eq!(started(&first), [0, 1]);
    let second = ended(definition, first, 1);
    assert_eq!(started(&second), [2]);
    let third = ended(definition, second, 2);
    assert_eq!((started(&third), third.instance.state.as_str()), (Vec::new(), "each"));
    assert_eq!(ended(definition, third, 0).instance.state, "done");
}

/// Certificates are withdrawn one after another on the way out of a cancellation: all of them.
#[test]
fn a_way_out_begins_all_of_its_children() {
    let each = "each: certificate in certificates\n";
    let source = include_str!("definitions/ok/if-cancelled-fork.yaml");
    let library = library(&source.replace(each, &format!("{each}    at-once: 1\n")));
    let definition = library.get("all").expect("it is there");
    let first = begun(definition, "alice");
    assert_eq!(started(&first), [0, 1, 2]);
    let mut last = step(definition, first.instance, Event::Cancelled { to: None }, NOW).expect("a step");
    for index in 0..3 {
        last = ended(definition, last, index);
    }
    assert_eq!((last.instance.state.as_str(), started(&last)), ("withdraw", vec![0]));
    for next in [1, 2] {
        last = ended(definition, last, next - 1);
        assert_eq!(started(&last), [next]);
    }
    assert_eq!(ended(definition, last, 2).instance.state, "withdrawn");
}
