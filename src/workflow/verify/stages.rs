//! Stages are a whole: every stage has a state, and every state on the way to success has its stage.

use super::Context;
use crate::definition::{EndOutcome, State};
use crate::diagnostic::{Report, nearest};

const RULE: &str = "stages";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    let stages = &definition.stages;
    for (index, stage) in stages.iter().enumerate() {
        if stages.iter().take(index).any(|other| other.text == stage.text) {
            report.add(stage.at, RULE, format!("there are two stages `{}`", stage.text));
        }
        if !definition.states.iter().any(|state| state.stage.as_ref().is_some_and(|named| named.text == stage.text)) {
            report.add(stage.at, RULE, format!("no state belongs to the stage `{}`", stage.text));
        }
    }
    for state in &definition.states {
        match &state.stage {
            Some(named) if stages.iter().all(|stage| stage.text != named.text) => {
                let message = format!("there is no stage `{}`", named.text);
                match nearest(&named.text, stages.iter().map(|stage| stage.text.as_str())) {
                    Some(hint) => report.add_with_hint(named.at, RULE, message, hint),
                    None => report.add(named.at, RULE, message),
                }
            }
            None if !stages.is_empty() && !ends_without_success(state) => {
                report.add(state.name.at, RULE, format!("`{}` names no stage", state.name.text));
            }
            Some(_) | None => {}
        }
    }
}

/// Whatever ends without success stays in the stage that it had reached.
fn ends_without_success(state: &State) -> bool {
    state.end().is_some_and(|end| end.outcome != EndOutcome::Success)
}
