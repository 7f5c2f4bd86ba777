//! A version that was released before its activity got another outcome.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::catalog::catalog;
use crate::instance::{Effect, Event, Person, Status};
use crate::library::Library;
use crate::step::{Begin, begin, step};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
/// The directory's `not-found` leads nowhere.
const SOURCE: &str = include_str!("definitions/bad/outcomes-forgotten.yaml");

#[test]
fn an_outcome_that_a_released_version_does_not_know_waits_for_an_operator() {
    assert!(Library::load([("fixture.yaml", SOURCE)], &catalog()).is_err());
    let library =
        Library::load_released([("fixture.yaml", SOURCE)], "fixture.yaml", &catalog()).expect("it is released");
    let definition = library.all().next().expect("it is there");
    let start = Begin {
        id: Uuid::nil(),
        owner: Person::new("alice"),
        requester: Person::new("alice"),
        role: "user".to_owned(),
        parent: None,
        arguments: Map::new(),
        policy: std::collections::BTreeMap::new(),
    };
    let begun = begin(definition, start, NOW).expect("it begins").instance;
    let completed = Event::Completed { step: begun.step, outcome: "not-found".to_owned(), result: Value::Null };
    let stuck = step(definition, begun, completed, NOW).expect("a step").instance;
    assert_eq!(stuck.status, Status::Stuck);
    let cancelled = step(definition, stuck.clone(), Event::Cancelled { to: None }, NOW).expect("a step").instance;
    assert_eq!(cancelled.status, Status::Cancelled);
    let resumed = step(definition, stuck.clone(), Event::Resumed { step: stuck.step }, NOW).expect("a step");
    assert!(matches!(resumed.effects.as_slice(), [Effect::Perform { .. }]), "{:?}", resumed.effects);
}
