//! A guard compares what can be compared, and never what may be unset.

use super::{Context, flow};
use crate::definition::Target;
use crate::diagnostic::Report;
use crate::guard::{self, Environment};

const RULE: &str = "guards";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for state in &context.definition.states {
        let entered = context.entered(&state.name.text);
        for next in state.ways() {
            let kept = flow::kept(context, state, next, &entered);
            target(&next.to, &context.environment_with(&kept.set), report);
        }
        if let Some(if_cancelled) = &state.if_cancelled {
            let set = flow::when_cancelled(context, state, &entered);
            target(if_cancelled, &context.environment_with(&set), report);
        }
    }
}

fn target(target: &Target, environment: &Environment<'_>, report: &mut Report) {
    let mut environment = environment.clone();
    for (guard, _) in &target.guards {
        if let Err(error) = guard::check(&guard.expression, &environment) {
            report.add(guard.at, RULE, format!("`{guard}`: {error}"));
        }
        environment = environment.with(&guard::set_when(&guard.expression, false));
    }
}
