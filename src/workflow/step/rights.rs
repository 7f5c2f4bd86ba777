//! Who may take an action, and whether a form's fields are as asked for.

use serde_json::{Map, Value};

use super::Rejection;
use crate::definition::{Action, Input, Kind, Party, People, State};
use crate::guard::lookup;
use crate::instance::{Actor, Instance};

/// Whom rights are about: the logins of an instance's owner and requester.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub owner: &'a str,
    pub requester: &'a str,
}

impl<'a> From<&'a Instance> for About<'a> {
    fn from(instance: &'a Instance) -> Self {
        Self { owner: &instance.owner.login, requester: &instance.requester.login }
    }
}

/// Whether `actor` may take `action` of an instance about these people.
pub fn may_act<'a>(action: &Action, actor: &Actor, about: impl Into<About<'a>>) -> bool {
    let about = about.into();
    action.by.iter().any(|party| is_party(party, actor, about))
        && !action.never.iter().any(|party| is_party(party, actor, about))
}

/// Whether `actor` is the named party.
pub fn is_party<'a>(party: &Party, actor: &Actor, about: impl Into<About<'a>>) -> bool {
    let about = about.into();
    match party {
        Party::Owner => actor.person.login == about.owner,
        Party::Requester => actor.person.login == about.requester,
        Party::Role(role) => actor.role == role.text,
    }
}

/// How many people must take an action.
pub fn needed(action: &Action, instance: &Instance) -> usize {
    let number = match &action.people {
        None => 1,
        Some(People::Number(number)) => i64::from(*number),
        Some(People::Path(path)) => {
            let walk = std::iter::once(path.root.as_str()).chain(path.fields.iter().map(String::as_str));
            lookup(walk, &instance.data).as_i64().unwrap_or(1)
        }
    };
    usize::try_from(number).unwrap_or(1).max(1)
}

/// Whether `actor` may take the present question upon themselves: somebody who could answer it in a role.
pub fn may_claim(state: &State, actor: &Actor, instance: &Instance) -> bool {
    match &state.kind {
        Kind::Ask(ask) => {
            ask.actions.iter().any(|action| by_role(action, actor, instance) && may_act(action, actor, instance))
        }
        _ => false,
    }
}

/// A claim keeps others of the role away, and never the people whom it is about.
pub(super) fn is_claimed_by_another(action: &Action, actor: &Actor, instance: &Instance) -> bool {
    instance.claimed_by.as_ref().is_some_and(|claimed| *claimed != actor.person) && by_role(action, actor, instance)
}

/// Whether the action is this actor's by a role alone.
fn by_role(action: &Action, actor: &Actor, instance: &Instance) -> bool {
    let mut parties = action.by.iter().filter(|party| is_party(party, actor, instance)).peekable();
    parties.peek().is_some() && parties.all(|party| matches!(party, Party::Role(_)))
}

/// The fields of a form, each as it is asked for; what may be left out and is, is null.
///
/// # Errors
/// [`Rejection::Field`] for a field that is missing, not as asked for, or not asked for.
pub fn checked_fields(inputs: &[Input], mut given: Map<String, Value>) -> Result<Map<String, Value>, Rejection> {
    let mut checked = Map::new();
    for input in inputs {
        let wrong = || Rejection::Field { field: input.name.text.clone() };
        let value = match given.remove(&input.name.text) {
            None | Some(Value::Null) => Value::Null,
            Some(Value::String(text)) if text.trim().is_empty() => Value::Null,
            Some(Value::String(text)) => {
                let length = text.chars().count();
                let is_choice = input.choices.is_empty() || input.choices.contains(&text);
                let clean =
                    is_choice && !text.chars().any(|letter| letter.is_control() && letter != '\n' && letter != '\r');
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
