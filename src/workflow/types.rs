//! The types of workflow data, and how the host's Rust types become them.
//!
//! A host declares its records, parameters and outcomes as Rust types with `JsonSchema`; this module reads the
//! schema, so the verifier and the running code cannot disagree on a field's name or kind.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// The type of a field, a parameter or a guard's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Text,
    Integer,
    Bool,
    /// A moment, as RFC 3339 text.
    Time,
    /// A record or a choice of words that the catalog knows by this name (kebab-case).
    Named(String),
    List(Box<Type>),
    /// May be null until a guard has shown that it is not.
    Optional(Box<Type>),
    /// The type of `null` itself.
    Null,
}

impl Type {
    /// The type without a leading `optional`.
    pub fn required(&self) -> &Type {
        match self {
            Type::Optional(inner) => inner.required(),
            other => other,
        }
    }

    pub fn is_optional(&self) -> bool {
        matches!(self, Type::Optional(_) | Type::Null)
    }

    pub fn optional(self) -> Type {
        match self {
            Type::Optional(_) | Type::Null => self,
            other => Type::Optional(Box::new(other)),
        }
    }

    /// Whether a value of type `from` may stand where this type is asked for.
    pub fn accepts(&self, from: &Type) -> bool {
        match (self, from) {
            (Type::Optional(_), Type::Null) => true,
            (Type::Optional(to), from) => to.accepts(from.required()),
            (Type::List(to), Type::List(from)) => to.accepts(from),
            (to, from) => to == from,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Text => out.write_str("text"),
            Type::Integer => out.write_str("integer"),
            Type::Bool => out.write_str("bool"),
            Type::Time => out.write_str("time"),
            Type::Named(name) => out.write_str(name),
            Type::List(inner) => write!(out, "list of {inner}"),
            Type::Optional(inner) => write!(out, "optional {inner}"),
            Type::Null => out.write_str("null"),
        }
    }
}

/// What a named type is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    Record(BTreeMap<String, Type>),
    /// One of these words, written as it stands.
    Choice(Vec<String>),
}

/// Named types, gathered from the schemas of the host's Rust types.
pub type Shapes = BTreeMap<String, Shape>;

/// A Rust type that the language cannot carry; found when the catalog is built, that is at every start and in every test.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema `{schema}` is no type of the workflow language")]
pub struct UnknownSchema {
    schema: String,
}

/// Reads one JSON schema (draft 2020-12, as schemars writes it) into a type; definitions it names go to `shapes`.
///
/// # Errors
/// [`UnknownSchema`] for what the language has no type for: maps, floats, tuples, tagged unions.
pub fn from_schema(schema: &Value, shapes: &mut Shapes) -> Result<Type, UnknownSchema> {
    if let Some(definitions) = schema.get("$defs").and_then(Value::as_object) {
        for (name, definition) in definitions {
            let shape = shape_of(definition, shapes)?;
            shapes.insert(kebab(name), shape);
        }
    }
    type_of(schema, shapes)
}

/// The fields of a record's schema.
pub fn fields_of(schema: &Value, shapes: &mut Shapes) -> Result<BTreeMap<String, Type>, UnknownSchema> {
    from_definitions(schema, shapes)?;
    record_fields(schema, shapes)
}

/// The outcomes of an enum's schema, each with the type of its result.
pub fn outcomes_of(schema: &Value, shapes: &mut Shapes) -> Result<BTreeMap<String, Option<Type>>, UnknownSchema> {
    from_definitions(schema, shapes)?;
    let mut outcomes = BTreeMap::new();
    for variant in variants(schema) {
        if let Some(words) = words_of(variant) {
            outcomes.extend(words.into_iter().map(|word| (word, None)));
        } else if let Some(properties) = variant.get("properties").and_then(Value::as_object) {
            for (name, result) in properties {
                outcomes.insert(name.clone(), Some(type_of(result, shapes)?));
            }
        } else {
            return Err(unknown(variant));
        }
    }
    Ok(outcomes)
}

fn from_definitions(schema: &Value, shapes: &mut Shapes) -> Result<(), UnknownSchema> {
    for (name, definition) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
        let shape = shape_of(definition, shapes)?;
        shapes.insert(kebab(name), shape);
    }
    Ok(())
}

fn shape_of(schema: &Value, shapes: &mut Shapes) -> Result<Shape, UnknownSchema> {
    let mut words = Vec::new();
    for variant in variants(schema) {
        match words_of(variant) {
            Some(more) => words.extend(more),
            None => return record_fields(schema, shapes).map(Shape::Record),
        }
    }
    Ok(Shape::Choice(words))
}

fn record_fields(schema: &Value, shapes: &mut Shapes) -> Result<BTreeMap<String, Type>, UnknownSchema> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(unknown(schema));
    }
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fields = BTreeMap::new();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mut field_type = type_of(field, shapes)?;
        let has_default = field.get("default").is_some();
        if !required.contains(&name.as_str()) && !has_default {
            field_type = field_type.optional();
        }
        fields.insert(name.clone(), field_type);
    }
    Ok(fields)
}

fn type_of(schema: &Value, shapes: &mut Shapes) -> Result<Type, UnknownSchema> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        return Ok(Type::Named(kebab(name)));
    }
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        return match alternatives.as_slice() {
            [only, null] if is_null(null) => Ok(type_of(only, shapes)?.optional()),
            _ => Err(unknown(schema)),
        };
    }
    match schema.get("type") {
        Some(Value::String(name)) => primitive(name, schema, shapes),
        Some(Value::Array(names)) => match names.as_slice() {
            [Value::String(name), Value::String(null)] if null == "null" => {
                Ok(primitive(name, schema, shapes)?.optional())
            }
            _ => Err(unknown(schema)),
        },
        _ => Err(unknown(schema)),
    }
}

fn primitive(name: &str, schema: &Value, shapes: &mut Shapes) -> Result<Type, UnknownSchema> {
    match name {
        "string" if schema.get("format").and_then(Value::as_str) == Some("date-time") => Ok(Type::Time),
        "string" => Ok(Type::Text),
        "integer" => Ok(Type::Integer),
        "boolean" => Ok(Type::Bool),
        "array" => {
            let items = schema.get("items").ok_or_else(|| unknown(schema))?;
            Ok(Type::List(Box::new(type_of(items, shapes)?)))
        }
        "object" => {
            let title = schema.get("title").and_then(Value::as_str).ok_or_else(|| unknown(schema))?;
            let name = kebab(title);
            let fields = record_fields(schema, shapes)?;
            shapes.insert(name.clone(), Shape::Record(fields));
            Ok(Type::Named(name))
        }
        _ => Err(unknown(schema)),
    }
}

fn variants(schema: &Value) -> Vec<&Value> {
    match schema.get("oneOf").and_then(Value::as_array) {
        Some(variants) => variants.iter().collect(),
        None => vec![schema],
    }
}

fn words_of(schema: &Value) -> Option<Vec<String>> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word.to_owned()]);
    }
    let words = schema.get("enum")?.as_array()?;
    words.iter().map(|word| word.as_str().map(str::to_owned)).collect()
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

fn unknown(schema: &Value) -> UnknownSchema {
    UnknownSchema { schema: schema.to_string() }
}

/// `DraftCertificate` becomes `draft-certificate`.
fn kebab(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
