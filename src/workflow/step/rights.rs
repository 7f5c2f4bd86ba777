//! Who may take an action, and whether a form's fields are as asked for.

use serde_json::{Map, Value};

use super::Rejection;
use crate::definition::{Action, Party};
use crate::instance::{Actor, Instance};

/// Whether `actor` may take `action` now.
pub fn may_act(action: &Action, actor: &Actor, instance: &Instance) -> bool {
    action.by.iter().any(|party| is_party(party, actor, instance))
        && !action.never.iter().any(|party| is_party(party, actor, instance))
}

/// Whether `actor` is the named party of this instance.
pub fn is_party(party: &Party, actor: &Actor, instance: &Instance) -> bool {
    match party {
        Party::Owner => actor.person == instance.owner,
        Party::Requester => actor.person == instance.requester,
        Party::Role(role) => actor.role == role.text,
    }
}

pub(super) fn checked_fields(action: &Action, mut given: Map<String, Value>) -> Result<Map<String, Value>, Rejection> {
    let mut checked = Map::new();
    for input in &action.fields {
        let wrong = || Rejection::Field { field: input.name.text.clone() };
        let value = match given.remove(&input.name.text) {
            None | Some(Value::Null) => Value::Null,
            Some(Value::String(text)) if text.trim().is_empty() => Value::Null,
            Some(Value::String(text)) => {
                let length = text.chars().count();
                let clean = !text.chars().any(|letter| letter.is_control() && letter != '\n' && letter != '\r');
                if length < input.length.0 || length > input.length.1 || !clean {
                    return Err(wrong());
                }
                Value::String(text)
            }
            Some(_) => return Err(wrong()),
        };
        if value.is_null() && !input.input_type.is_optional() {
            return Err(wrong());
        }
        checked.insert(input.name.text.clone(), value);
    }
    match given.keys().next() {
        Some(unknown) => Err(Rejection::Field { field: unknown.clone() }),
        None => Ok(checked),
    }
}
