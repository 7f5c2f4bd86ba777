//! What is held is set and has an id: else every report would be refused there, and the instance never move.

use super::{Context, flow};
use crate::definition::Word;
use crate::diagnostic::Report;
use crate::guard::{self, Environment, TypeError};
use crate::types::Type;

const RULE: &str = "holds";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let start = context.environment_with(&flow::Set::new());
    for held in &context.definition.holds {
        has_id(held, &start, report);
    }
    for state in &context.definition.states {
        let entered = context.entered(&state.name.text);
        for next in state.ways() {
            if let Some(held) = &next.holds {
                let kept = flow::kept(context, state, next, &entered);
                has_id(held, &context.environment_with(&kept.set), report);
            }
        }
    }
}

fn has_id(held: &Word, environment: &Environment<'_>, report: &mut Report) {
    // The owner is held by the login.
    if held.text == "owner" {
        return;
    }
    let message = match guard::path_type(&[held.text.clone(), "id".to_owned()], environment) {
        // The rule `names` says what there is not.
        Ok(Type::Text) | Err(TypeError::UnknownName(_)) => return,
        Err(TypeError::MayBeUnset { path }) => format!("`{path}` may be unset here, and what is held must be set"),
        Ok(_) | Err(_) => format!("`{}` has no id that it could be held by", held.text),
    };
    report.add(held.at, RULE, message);
}
