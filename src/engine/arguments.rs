//! What a start from outside may give.

use sealwright_workflow::definition::{Definition, Field};
use sealwright_workflow::step::Rejection;
use sealwright_workflow::types::Type;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::EngineError;

const LONGEST_TEXT: usize = 4000;
const MOST_VALUES: usize = 100;

/// A start from outside gives the fields that must be given, of their types, and no other.
pub(super) fn checked_arguments(definition: &Definition, given: &Map<String, Value>) -> Result<(), EngineError> {
    let is_asked_for = |field: &Field| field.default.is_none() && !field.field_type.is_optional();
    for (name, value) in given {
        let fits = definition.data.get(name).is_some_and(|field| is_asked_for(field) && fits(&field.field_type, value));
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
