//! Guards: a subset of CEL over an instance's data, with our own type check and evaluation budget.
//!
//! The subset: fields, literals, comparison, `&&`, `||`, `!`, `in`, `size`, `all`, `exists`.

mod check;
mod evaluate;
mod read;

use std::fmt;

pub use check::{Environment, TypeError, check, path_type, set_when};
pub use evaluate::{Budget, evaluate, lookup};
pub use read::{MAXIMUM_LENGTH, SyntaxError, read};

use serde_json::Value;

use crate::diagnostic::Position;

/// A guard as written, and its tree.
#[derive(Clone, Debug)]
pub struct Guard {
    pub at: Position,
    pub text: String,
    pub expression: Expression,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Literal(Value),
    /// A field of the data or a loop's variable, and the fields below it.
    Path(Vec<String>),
    List(Vec<Expression>),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    In(Box<Expression>, Box<Expression>),
    Size(Box<Expression>),
    Every(Box<Loop>),
    Some(Box<Loop>),
}

/// `over.all(variable, condition)` or `over.exists(variable, condition)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    pub over: Expression,
    pub variable: String,
    pub condition: Expression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl fmt::Display for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}
