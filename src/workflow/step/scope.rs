//! What `keep` may read on a way: the outcome's result, a child's, the children's, or a form's fields; else the data.

use serde_json::{Map, Value};

use super::machine::Machine;
use crate::definition::Path;
use crate::guard::lookup;
use crate::instance::Person;

/// What an outcome brings, for `keep`.
pub(super) enum Scope {
    Nothing,
    Result(Value),
    Child(Value),
    Children(Vec<Value>),
    Fields(Map<String, Value>),
}

impl Scope {
    pub fn read(&self, path: &Path, machine: &Machine<'_>) -> Value {
        match (self, path.root.as_str()) {
            (Scope::Result(value), "result") | (Scope::Child(value), "child") => fields_below(value, &path.fields),
            (Scope::Children(values), "children") => {
                values.iter().map(|value| fields_below(value, &path.fields)).filter(|value| !value.is_null()).collect()
            }
            (Scope::Fields(fields), "fields") => lookup(path.fields.iter().map(String::as_str), fields),
            _ => machine.read(path),
        }
    }
}

pub(super) fn fields_below(value: &Value, fields: &[String]) -> Value {
    let mut current = Some(value);
    for field in fields {
        current = current.and_then(|value| value.get(field));
    }
    current.cloned().unwrap_or(Value::Null)
}

pub(super) fn person_field(person: &Person, fields: &[String]) -> Value {
    match fields {
        [field] if field == "login" => Value::from(person.login.clone()),
        _ => Value::Null,
    }
}
