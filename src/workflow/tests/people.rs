//! Guards see who an instance is for, and who began it.

use serde_json::Map;

use super::begin::{NOW, begun, library};
use crate::instance::{Actor, Event, Person};
use crate::step::step;

const SOURCE: &str = "
workflow: fixture
version: 1
title: A fixture
start: { by: [user] }
see: [owner]
states:
  ask:
    ask: Shall it be?
    actions:
      go-on:
        by: [owner, requester]
        to:
          - { when: 'owner.login == requester.login', to: own }
          - { otherwise: others }
  own: { end: success }
  others: { end: success }
";

#[test]
fn a_guard_tells_the_owner_from_the_requester() {
    let library = library(SOURCE);
    let definition = library.get("fixture").expect("it is there");
    for (requester, end) in [("alice", "own"), ("rita", "others")] {
        let begun = begun(definition, requester).instance;
        let actor = Actor { person: Person::new(requester), role: "user".to_owned() };
        let event = Event::Acted {
            step: begun.step,
            action: "go-on".to_owned(),
            actor,
            fields: Map::new(),
            shown: String::new(),
        };
        let ended = step(definition, begun, event, NOW).expect("a step").instance;
        assert_eq!(ended.state, end);
    }
}
