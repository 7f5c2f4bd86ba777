//! The `data` of a workflow: `card: optional card`, `certificates: list of certificate = []`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Entries;
use super::tree::Node;
use super::{RULE, words};
use crate::definition::{Default, Field, Path, Word};
use crate::diagnostic::Report;
use crate::types::Type;

const RESERVED: [&str; 8] = ["owner", "requester", "policy", "result", "child", "children", "fields", "ca"];

pub fn read(node: &Node, report: &mut Report) -> BTreeMap<String, Field> {
    let mut data = BTreeMap::new();
    let Some(entries) = Entries::new(node, "`data`", report) else {
        return data;
    };
    for (name, node) in entries.all() {
        let valid = words::is_snake(&name, "the data name", report);
        if RESERVED.contains(&name.as_str()) {
            report.add(name.at, RULE, format!("`{}` has a meaning of its own in the language", name.text));
        }
        if let Some(field) = words::word(node, "a type", report).and_then(|word| field(&word, report))
            && valid
        {
            data.insert(name.text, field);
        }
    }
    data
}

fn field(declared: &Word, report: &mut Report) -> Option<Field> {
    let (written, default) = match declared.text.split_once('=') {
        Some((written, default)) => (written.trim(), Some(read_default(default.trim(), declared, report)?)),
        None => (declared.text.trim(), None),
    };
    let (written, optional) = strip_word(written, "optional");
    let (written, secret) = strip_word(written, "secret");
    let field_type = read_type(written, declared, report)?;
    Some(Field {
        at: declared.at,
        field_type: if optional { field_type.optional() } else { field_type },
        secret,
        default,
    })
}

/// `list of slot`, `text`, or a name that the catalog is asked for later.
pub fn read_type(written: &str, at: &Word, report: &mut Report) -> Option<Type> {
    if let Some(of) = written.strip_prefix("list of ") {
        return read_type(of.trim(), at, report).map(|of| Type::List(Box::new(of)));
    }
    match written {
        "text" => Some(Type::Text),
        "integer" => Some(Type::Integer),
        "bool" => Some(Type::Bool),
        "time" => Some(Type::Time),
        name => {
            let word = Word { text: name.to_owned(), at: at.at };
            words::is_kebab(&word, "the type", report).then_some(Type::Named(word.text))
        }
    }
}

fn strip_word<'a>(written: &'a str, word: &str) -> (&'a str, bool) {
    match written.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')) {
        Some(rest) => (rest.trim(), true),
        None => (written, false),
    }
}

fn read_default(written: &str, at: &Word, report: &mut Report) -> Option<Default> {
    if let Some(path) = written.strip_prefix("policy.") {
        if Path::parse(path, at.at).is_some() {
            return Some(Default::Policy(path.to_owned()));
        }
    } else if let Ok(value) = serde_json::from_str::<Value>(written) {
        return Some(Default::Literal(value));
    }
    report.add_with_hint(
        at.at,
        RULE,
        format!("`{written}` is no first value"),
        "write `[]`, a number, `true`, \"text in quotes\", or a path that begins with `policy.`",
    );
    None
}
