//! What a start from outside may give.

use sealwright_workflow::definition::{Definition, Field};
use sealwright_workflow::instance::{Actor, Person};
use sealwright_workflow::step::{Begin, Rejection};
use sealwright_workflow::types::Type;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::rights::may_start_for;
use super::{Engine, EngineError};
use crate::store::Tx;

const LONGEST_TEXT: usize = 4000;
const MOST_VALUES: usize = 100;

/// A start from outside gives the fields that must be given, of their types, and no other.
pub(super) fn checked_arguments(definition: &Definition, given: &Map<String, Value>) -> Result<(), EngineError> {
    let subject = definition.start.subject.as_ref().map(|subject| subject.text.as_str());
    let is_asked_for = |field: &Field| field.default.is_none() && !field.field_type.is_optional();
    for (name, value) in given {
        let fits = match definition.data.get(name) {
            // The subject is named by its id.
            Some(_) if subject == Some(name) => value.as_str().is_some_and(|id| id.parse::<Uuid>().is_ok()),
            Some(field) => is_asked_for(field) && fits(&field.field_type, value),
            None => false,
        };
        if !fits {
            return Err(Rejection::Field { field: name.clone() }.into());
        }
    }
    for (name, field) in &definition.data {
        if is_asked_for(field) && !given.contains_key(name) {
            return Err(Rejection::Field { field: name.clone() }.into());
        }
    }
    Ok(())
}

/// Looks up the subject of a start by its id and puts the record in its place.
///
/// The subject's owner becomes the instance's. The error does not tell a subject of somebody else from one
/// that does not exist.
pub(super) async fn find_subject(
    engine: &Engine,
    tx: &Tx,
    definition: &Definition,
    start: &mut Begin,
) -> Result<(), EngineError> {
    let Some(subject) = &definition.start.subject else { return Ok(()) };
    let field = definition.data.get(&subject.text).ok_or(EngineError::NotFound)?;
    let lookup = engine.inner.registry.subject_lookup(&field.field_type).ok_or(EngineError::NotFound)?;
    let id = start.arguments.get(&subject.text).and_then(Value::as_str).and_then(|id| id.parse().ok());
    let (record, owner) = lookup.find(tx, id.ok_or(EngineError::NotFound)?).await?.ok_or(EngineError::NotFound)?;
    let actor = Actor { person: start.requester.clone(), role: start.role.clone() };
    if !may_start_for(definition, &owner, &actor) {
        return Err(EngineError::NotFound);
    }
    start.arguments.insert(subject.text.clone(), record);
    start.owner = Person::new(&owner);
    Ok(())
}

/// Whether a value from outside is of a type. Records are the portal's own to make: none is taken from outside.
fn fits(of: &Type, value: &Value) -> bool {
    match (of, value) {
        (Type::Text, Value::String(text)) => {
            text.chars().count() <= LONGEST_TEXT && !text.chars().any(char::is_control)
        }
        (Type::Time, Value::String(text)) => OffsetDateTime::parse(text, &Rfc3339).is_ok(),
        (Type::Integer, value) => value.is_i64(),
        (Type::Bool, value) => value.is_boolean(),
        (Type::List(of), Value::Array(values)) => {
            values.len() <= MOST_VALUES && values.iter().all(|value| fits(of, value))
        }
        _ => false,
    }
}
