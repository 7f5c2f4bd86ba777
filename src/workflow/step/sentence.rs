//! Sentences with places for data: `The certificate for {slot.title} could not be made.`

use serde_json::{Map, Value};

use crate::guard::lookup;

/// What stands between the braces of a sentence: the places that [`fill`] puts data into.
pub fn places(sentence: &str) -> impl Iterator<Item = &str> {
    let mut rest = sentence;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once('{')?;
        let (place, tail) = after.split_once('}')?;
        rest = tail;
        Some(place)
    })
}

/// Replaces `{field.part}` in a sentence.
pub fn fill(sentence: &str, data: &Map<String, Value>) -> String {
    let mut out = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}') {
            Some((path, tail)) => {
                match lookup(path.split('.'), data) {
                    Value::String(text) => out.push_str(&text),
                    Value::Null => {}
                    other => out.push_str(&other.to_string()),
                }
                rest = tail;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
