//! Fixtures that are loaded, and instances that are begun, as the tests of single steps need them.

use serde_json::{Map, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::catalog::catalog;
use crate::definition::Definition;
use crate::instance::Person;
use crate::library::Library;
use crate::step::{Begin, Step, begin};

pub const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// The workflows of a fixture, which a line `=====` parts.
pub fn library(source: &str) -> Library {
    let parts: Vec<&str> = source.split("=====\n").collect();
    Library::load(parts.iter().map(|part| ("fixture.yaml", *part)), &catalog()).expect("good workflows")
}

/// An instance that is alice's, whoever began it.
pub fn begun(definition: &Definition, requester: &str) -> Step {
    let start = Begin {
        id: Uuid::nil(),
        owner: Person::new("alice"),
        requester: Person::new(requester),
        role: "user".to_owned(),
        parent: None,
        arguments: Map::new(),
        policy: [("people".to_owned(), json!(["a", "b", "c"]))].into(),
    };
    begin(definition, start, NOW).expect("it begins")
}
