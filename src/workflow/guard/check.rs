//! Types of guards, with null-narrowing: `card.owner != null && card.owner == person.id` is well typed although
//! `card.owner` is optional, because the second half is looked at only where the first one holds.

use std::collections::{BTreeMap, BTreeSet};

use super::{Comparison, Expression};
use crate::catalog::Catalog;
use crate::types::Type;

/// What names mean where a guard or a path stands.
#[derive(Clone, Debug)]
pub struct Environment<'a> {
    pub catalog: &'a Catalog,
    pub names: BTreeMap<String, Type>,
    /// Paths that are known not to be null here.
    set: BTreeSet<Vec<String>>,
}

impl<'a> Environment<'a> {
    pub fn new(catalog: &'a Catalog, names: BTreeMap<String, Type>) -> Self {
        Self { catalog, names, set: BTreeSet::new() }
    }

    /// The same names, with these paths known not to be null.
    pub fn with(&self, known: &BTreeSet<Vec<String>>) -> Self {
        let mut narrowed = self.clone();
        narrowed.set.extend(known.iter().cloned());
        narrowed
    }
}

/// Why a guard is not well typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    #[error("there is no data named `{0}`")]
    UnknownName(String),
    #[error("`{record}` has no field `{field}`")]
    UnknownField { record: String, field: String },
    #[error("`{path}` may be unset here; test `{path} != null` first")]
    MayBeUnset { path: String },
    #[error("{expected} is needed here, this is {found}")]
    Mismatch { expected: String, found: String },
    #[error("{left} and {right} cannot be compared")]
    Incomparable { left: String, right: String },
    #[error("`{word}` is none of the words of {choice}")]
    UnknownWord { word: String, choice: String },
}

/// Checks that a guard is a well-typed condition.
///
/// # Errors
/// The first [`TypeError`] met.
pub fn check(guard: &Expression, environment: &Environment<'_>) -> Result<(), TypeError> {
    expect(guard, &Type::Bool, environment)
}

/// The type of a path, or what is wrong with it.
///
/// # Errors
/// [`TypeError`] for an unknown name or field, or a field of what may be null.
pub fn path_type(path: &[String], environment: &Environment<'_>) -> Result<Type, TypeError> {
    let Some((root, fields)) = path.split_first() else {
        return Err(TypeError::UnknownName(String::new()));
    };
    let mut current = environment.names.get(root).cloned().ok_or_else(|| TypeError::UnknownName(root.clone()))?;
    let mut walked = vec![root.clone()];
    for field in fields {
        current = narrowed(current, &walked, environment);
        if current.is_optional() {
            return Err(TypeError::MayBeUnset { path: walked.join(".") });
        }
        current = environment
            .catalog
            .field(&current, field)
            .cloned()
            .ok_or_else(|| TypeError::UnknownField { record: current.to_string(), field: field.clone() })?;
        walked.push(field.clone());
    }
    Ok(narrowed(current, &walked, environment))
}

fn narrowed(found: Type, path: &[String], environment: &Environment<'_>) -> Type {
    if environment.set.contains(path) { found.required().clone() } else { found }
}

fn type_of(expression: &Expression, environment: &Environment<'_>) -> Result<Type, TypeError> {
    match expression {
        Expression::Literal(value) => Ok(match value {
            serde_json::Value::Null => Type::Null,
            serde_json::Value::Bool(_) => Type::Bool,
            serde_json::Value::Number(_) => Type::Integer,
            _ => Type::Text,
        }),
        Expression::Path(path) => path_type(path, environment),
        Expression::List(elements) => {
            let mut element_type = Type::Text;
            for element in elements {
                element_type = type_of(element, environment)?;
            }
            Ok(Type::List(Box::new(element_type)))
        }
        Expression::Not(inner) => {
            expect(inner, &Type::Bool, environment)?;
            Ok(Type::Bool)
        }
        Expression::And(left, right) => {
            expect(left, &Type::Bool, environment)?;
            expect(right, &Type::Bool, &environment.with(&set_when(left, true)))?;
            Ok(Type::Bool)
        }
        Expression::Or(left, right) => {
            expect(left, &Type::Bool, environment)?;
            expect(right, &Type::Bool, &environment.with(&set_when(left, false)))?;
            Ok(Type::Bool)
        }
        Expression::Compare(comparison, left, right) => {
            compare(*comparison, left, right, environment)?;
            Ok(Type::Bool)
        }
        Expression::In(element, list) => {
            let Type::List(of) = not_null(list, environment)? else {
                return Err(mismatch("a list", &type_of(list, environment)?));
            };
            let found = not_null(element, environment)?;
            if let (Expression::List(words), Type::Named(_)) = (list.as_ref(), &found) {
                for word in words {
                    word_of(&found, word, environment)?;
                }
            } else if *of != found {
                return Err(incomparable(&found, &of));
            }
            Ok(Type::Bool)
        }
        Expression::Size(inner) => match not_null(inner, environment)? {
            Type::List(_) | Type::Text => Ok(Type::Integer),
            other => Err(mismatch("a list or text", &other)),
        },
        Expression::Every(parts) | Expression::Some(parts) => {
            let Type::List(of) = not_null(&parts.over, environment)? else {
                return Err(mismatch("a list", &type_of(&parts.over, environment)?));
            };
            let mut inner = environment.clone();
            inner.names.insert(parts.variable.clone(), *of);
            expect(&parts.condition, &Type::Bool, &inner)?;
            Ok(Type::Bool)
        }
    }
}

fn compare(
    comparison: Comparison,
    left: &Expression,
    right: &Expression,
    environment: &Environment<'_>,
) -> Result<(), TypeError> {
    let (left_type, right_type) = (type_of(left, environment)?, type_of(right, environment)?);
    let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    if equality && (left_type == Type::Null || right_type == Type::Null) {
        return Ok(());
    }
    not_null(left, environment)?;
    not_null(right, environment)?;
    match (&left_type, &right_type) {
        (Type::Named(_), Type::Text) if equality && matches!(right, Expression::Literal(_)) => {
            word_of(&left_type, right, environment)
        }
        (Type::Text, Type::Named(_)) if equality && matches!(left, Expression::Literal(_)) => {
            word_of(&right_type, left, environment)
        }
        (left, right) if equality && left == right && !matches!(left, Type::List(_)) => Ok(()),
        (Type::Integer, Type::Integer) | (Type::Time, Type::Time) => Ok(()),
        _ => Err(incomparable(&left_type, &right_type)),
    }
}

fn word_of(choice: &Type, word: &Expression, environment: &Environment<'_>) -> Result<(), TypeError> {
    let Expression::Literal(serde_json::Value::String(word)) = word else {
        return Err(mismatch("a word", &type_of(word, environment)?));
    };
    match environment.catalog.words(choice) {
        Some(words) if words.contains(word) => Ok(()),
        Some(_) => Err(TypeError::UnknownWord { word: word.clone(), choice: choice.to_string() }),
        None => Err(incomparable(choice, &Type::Text)),
    }
}

fn expect(expression: &Expression, expected: &Type, environment: &Environment<'_>) -> Result<(), TypeError> {
    let found = not_null(expression, environment)?;
    if found == *expected { Ok(()) } else { Err(mismatch(&expected.to_string(), &found)) }
}

fn not_null(expression: &Expression, environment: &Environment<'_>) -> Result<Type, TypeError> {
    let found = type_of(expression, environment)?;
    match (expression, found.is_optional()) {
        (Expression::Path(path), true) => Err(TypeError::MayBeUnset { path: path.join(".") }),
        (_, true) => Err(mismatch("a value", &found)),
        (_, false) => Ok(found),
    }
}

/// The paths that are certainly not null when `expression` is `outcome`.
pub fn set_when(expression: &Expression, outcome: bool) -> BTreeSet<Vec<String>> {
    match (expression, outcome) {
        (Expression::Not(inner), _) => set_when(inner, !outcome),
        (Expression::And(left, right), true) | (Expression::Or(left, right), false) => {
            let mut both = set_when(left, outcome);
            both.extend(set_when(right, outcome));
            both
        }
        (Expression::Compare(Comparison::NotEqual, left, right), true)
        | (Expression::Compare(Comparison::Equal, left, right), false) => match (left.as_ref(), right.as_ref()) {
            (Expression::Path(path), Expression::Literal(serde_json::Value::Null))
            | (Expression::Literal(serde_json::Value::Null), Expression::Path(path)) => BTreeSet::from([path.clone()]),
            _ => BTreeSet::new(),
        },
        _ => BTreeSet::new(),
    }
}

fn mismatch(expected: &str, found: &Type) -> TypeError {
    TypeError::Mismatch { expected: expected.to_owned(), found: found.to_string() }
}

fn incomparable(left: &Type, right: &Type) -> TypeError {
    TypeError::Incomparable { left: left.to_string(), right: right.to_string() }
}
