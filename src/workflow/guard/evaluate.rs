//! The value of a guard over an instance's data: total, bounded by a budget, without side effects.

use serde_json::{Map, Value};

use super::{Comparison, Expression, Loop};

/// How many nodes one evaluation may visit. A guard over a long list stops here instead of holding up the engine.
#[derive(Debug)]
pub struct Budget(u32);

impl Default for Budget {
    fn default() -> Self {
        Self(100_000)
    }
}

impl Budget {
    fn spend(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}

/// Evaluates a guard; `None` when the budget is spent or the data is not of the checked types.
pub fn evaluate(expression: &Expression, data: &Map<String, Value>, budget: &mut Budget) -> Option<bool> {
    value_of(expression, &Scope { data, above: None }, budget)?.as_bool()
}

/// The value at a path; null for what is missing.
pub fn lookup<'a>(path: impl IntoIterator<Item = &'a str>, data: &Map<String, Value>) -> Value {
    let mut path = path.into_iter();
    let mut current = path.next().and_then(|root| data.get(root));
    for field in path {
        current = current.and_then(|value| value.get(field));
    }
    current.cloned().unwrap_or(Value::Null)
}

/// The data and the variables of the loops around.
struct Scope<'a> {
    data: &'a Map<String, Value>,
    above: Option<(&'a str, &'a Value, &'a Scope<'a>)>,
}

impl Scope<'_> {
    fn root(&self, name: &str) -> Option<&Value> {
        match self.above {
            Some((variable, value, _)) if variable == name => Some(value),
            Some((_, _, outer)) => outer.root(name),
            None => self.data.get(name),
        }
    }
}

fn value_of(expression: &Expression, scope: &Scope<'_>, budget: &mut Budget) -> Option<Value> {
    budget.spend()?;
    match expression {
        Expression::Literal(value) => Some(value.clone()),
        Expression::Path(path) => {
            let (root, fields) = path.split_first()?;
            let mut current = scope.root(root);
            for field in fields {
                current = current.and_then(|value| value.get(field));
            }
            Some(current.cloned().unwrap_or(Value::Null))
        }
        Expression::List(elements) => {
            elements.iter().map(|element| value_of(element, scope, budget)).collect::<Option<_>>().map(Value::Array)
        }
        Expression::Not(inner) => Some(Value::from(!truth(inner, scope, budget)?)),
        Expression::And(left, right) => Some(Value::from(truth(left, scope, budget)? && truth(right, scope, budget)?)),
        Expression::Or(left, right) => Some(Value::from(truth(left, scope, budget)? || truth(right, scope, budget)?)),
        Expression::Compare(comparison, left, right) => {
            let (left, right) = (value_of(left, scope, budget)?, value_of(right, scope, budget)?);
            compare(*comparison, &left, &right).map(Value::from)
        }
        Expression::In(element, list) => {
            let element = value_of(element, scope, budget)?;
            Some(Value::from(value_of(list, scope, budget)?.as_array()?.contains(&element)))
        }
        Expression::Size(inner) => match value_of(inner, scope, budget)? {
            Value::Array(elements) => Some(Value::from(elements.len())),
            Value::String(text) => Some(Value::from(text.chars().count())),
            _ => None,
        },
        Expression::Every(parts) => any(parts, false, scope, budget).map(|found| Value::from(!found)),
        Expression::Some(parts) => any(parts, true, scope, budget).map(Value::from),
    }
}

/// Whether the condition is `wanted` for any element.
fn any(parts: &Loop, wanted: bool, scope: &Scope<'_>, budget: &mut Budget) -> Option<bool> {
    let over = value_of(&parts.over, scope, budget)?;
    for element in over.as_array()? {
        let inner = Scope { data: scope.data, above: Some((&parts.variable, element, scope)) };
        if truth(&parts.condition, &inner, budget)? == wanted {
            return Some(true);
        }
    }
    Some(false)
}

fn truth(expression: &Expression, scope: &Scope<'_>, budget: &mut Budget) -> Option<bool> {
    value_of(expression, scope, budget)?.as_bool()
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> Option<bool> {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_i64()?.cmp(&right.as_i64()?),
        // Moments are RFC 3339 in UTC with a fixed width, so their text order is their order in time.
        (Value::String(left), Value::String(right)) => left.cmp(right),
        _ => {
            return match comparison {
                Comparison::Equal => Some(left == right),
                Comparison::NotEqual => Some(left != right),
                _ => None,
            };
        }
    };
    Some(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}
