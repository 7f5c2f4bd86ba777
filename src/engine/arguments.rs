//! What a start from outside may give.

use sealwright_workflow::definition::{Definition, Field};
use sealwright_workflow::instance::{Actor, Person};
use sealwright_workflow::step::{Begin, Rejection, checked_fields};
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

/// A start from outside gives what the workflow's form asks for; without a form the fields that must be given, of their types. And no other.
pub(super) fn checked_arguments(
    definition: &Definition,
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, EngineError> {
    let subject = definition.start.subject.as_ref().map(|subject| subject.text.as_str());
    if let Some(form) = &definition.start.form {
        let mut checked = Map::new();
        if let Some(subject) = subject {
            let id = given.remove(subject).filter(is_id);
            let id = id.ok_or_else(|| Rejection::Field { field: subject.to_owned() })?;
            checked.insert(subject.to_owned(), id);
        }
        let answers = checked_fields(&form.fields, given)?;
        // What is left out has its first value.
        checked.extend(answers.into_iter().filter(|(_, value)| !value.is_null()));
        return Ok(checked);
    }
    let is_asked_for = |field: &Field| field.default.is_none() && !field.field_type.is_optional();
    for (name, value) in &given {
        let fits = match definition.data.get(name) {
            Some(_) if subject == Some(name) => is_id(value),
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
    Ok(given)
}

/// The subject is named by its id.
fn is_id(value: &Value) -> bool {
    value.as_str().is_some_and(|id| id.parse::<Uuid>().is_ok())
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
    let found = lookup.find(tx, id.ok_or(EngineError::NotFound)?).await?;
    let actor = Actor { person: start.requester.clone(), role: start.role.clone() };
    let (record, owner) = startable_about(definition, found, &actor)?;
    start.arguments.insert(subject.text.clone(), record);
    start.owner = Person::new(&owner);
    Ok(())
}

/// The record and owner of a subject that the actor may start the workflow about.
fn startable_about(
    definition: &Definition,
    found: Option<(Value, String)>,
    actor: &Actor,
) -> Result<(Value, String), EngineError> {
    found.filter(|(_, owner)| may_start_for(definition, owner, actor)).ok_or(EngineError::NotFound)
}

/// The record that a start would be about, for its form.
///
/// # Errors
/// [`EngineError::NotFound`] as at the start itself.
pub(super) async fn read_subject(
    engine: &Engine,
    definition: &Definition,
    id: Uuid,
    actor: &Actor,
) -> Result<Option<(String, Value)>, EngineError> {
    let Some(subject) = &definition.start.subject else { return Ok(None) };
    let field = definition.data.get(&subject.text).ok_or(EngineError::NotFound)?;
    let lookup = engine.inner.registry.subject_lookup(&field.field_type).ok_or(EngineError::NotFound)?;
    let found = lookup.read(engine.store().read(), id).await?;
    let (record, _) = startable_about(definition, found, actor)?;
    Ok(Some((subject.text.clone(), record)))
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
