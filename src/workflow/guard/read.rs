//! From CEL text to the subset's tree. The only file that knows the `cel` crate.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use cel::parser::Parser;
use serde_json::Value;

use super::{Comparison, Expression, Loop};

/// The longest guard in bytes: bounds the parser's recursion before it starts.
pub const MAXIMUM_LENGTH: usize = 1024;
const MAXIMUM_DEPTH: u16 = 32;

/// Why a text is no guard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    #[error("the guard is longer than {MAXIMUM_LENGTH} characters")]
    TooLong,
    #[error("the guard is nested too deeply")]
    TooDeep,
    #[error("{0}")]
    Cel(String),
    #[error("`{0}` is not part of the guard language")]
    Unsupported(String),
}

/// Reads a guard.
///
/// # Errors
/// [`SyntaxError`] for text that is no CEL, or CEL outside the subset.
pub fn read(text: &str) -> Result<Expression, SyntaxError> {
    if text.len() > MAXIMUM_LENGTH {
        return Err(SyntaxError::TooLong);
    }
    let tree = Parser::new().max_recursion_depth(MAXIMUM_DEPTH).parse(text).map_err(|errors| {
        let messages: Vec<String> = errors.errors.iter().map(|error| error.msg.clone()).collect();
        SyntaxError::Cel(messages.join("; "))
    })?;
    convert(&tree, 0)
}

fn convert(tree: &IdedExpr, depth: u16) -> Result<Expression, SyntaxError> {
    if depth > MAXIMUM_DEPTH * 2 {
        return Err(SyntaxError::TooDeep);
    }
    let below = |tree: &IdedExpr| convert(tree, depth + 1);
    match &tree.expr {
        Expr::Ident(name) => Ok(Expression::Path(vec![name.clone()])),
        Expr::Select(select) if !select.test => match below(&select.operand)? {
            Expression::Path(mut fields) => {
                fields.push(select.field.clone());
                Ok(Expression::Path(fields))
            }
            _ => Err(unsupported("a field of an expression")),
        },
        Expr::Select(_) => Err(unsupported("has()")),
        Expr::Literal(literal) => literal_value(literal).map(Expression::Literal),
        Expr::List(list) => list.elements.iter().map(below).collect::<Result<_, _>>().map(Expression::List),
        Expr::Comprehension(comprehension) => {
            let (Expr::Literal(LiteralValue::Boolean(start)), Expr::Call(step)) =
                (&comprehension.accu_init.expr, &comprehension.loop_step.expr)
            else {
                return Err(unsupported("this macro"));
            };
            let [_, condition] = step.args.as_slice() else {
                return Err(unsupported("this macro"));
            };
            let parts = Box::new(Loop {
                over: below(&comprehension.iter_range)?,
                variable: comprehension.iter_var.clone(),
                condition: below(condition)?,
            });
            match (*start.inner(), step.func_name.as_str()) {
                (true, operators::LOGICAL_AND) => Ok(Expression::Every(parts)),
                (false, operators::LOGICAL_OR) => Ok(Expression::Some(parts)),
                _ => Err(unsupported("this macro")),
            }
        }
        Expr::Call(call) => {
            let arguments: Vec<&IdedExpr> = call.target.iter().map(AsRef::as_ref).chain(&call.args).collect();
            match (call.func_name.as_str(), arguments.as_slice()) {
                (operators::LOGICAL_NOT, [only]) => Ok(Expression::Not(Box::new(below(only)?))),
                ("size", [only]) => Ok(Expression::Size(Box::new(below(only)?))),
                (name, [left, right]) => {
                    let (left, right) = (Box::new(below(left)?), Box::new(below(right)?));
                    binary(name, left, right)
                }
                (name, _) => Err(unsupported(name)),
            }
        }
        Expr::Unspecified | Expr::Map(_) | Expr::Struct(_) => Err(unsupported("a map")),
    }
}

fn binary(name: &str, left: Box<Expression>, right: Box<Expression>) -> Result<Expression, SyntaxError> {
    let comparison = match name {
        operators::LOGICAL_AND => return Ok(Expression::And(left, right)),
        operators::LOGICAL_OR => return Ok(Expression::Or(left, right)),
        operators::IN => return Ok(Expression::In(left, right)),
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        other => return Err(unsupported(other)),
    };
    Ok(Expression::Compare(comparison, left, right))
}

fn literal_value(literal: &LiteralValue) -> Result<Value, SyntaxError> {
    match literal {
        LiteralValue::Boolean(value) => Ok(Value::from(*value.inner())),
        LiteralValue::Int(value) => Ok(Value::from(*value.inner())),
        LiteralValue::String(value) => Ok(Value::from(value.inner())),
        LiteralValue::Null => Ok(Value::Null),
        LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::UInt(_) => Err(unsupported("this literal")),
    }
}

fn unsupported(what: &str) -> SyntaxError {
    SyntaxError::Unsupported(what.to_owned())
}
