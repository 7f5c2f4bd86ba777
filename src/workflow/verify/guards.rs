//! A guard compares what can be compared, and never what may be unset.

use super::{Context, flow};
use crate::definition::Target;
use crate::diagnostic::Report;
use crate::guard::{self, Environment};

const RULE: &str = "guards";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for state in &context.definition.states {
        let environment = context.environment(&state.name.text);
        for next in state.ways() {
            let brought = flow::brought(context, state, next);
            let mut kept = flow::Set::new();
            for (field, path) in &next.keep {
                if flow::kept_type(path, &brought, &environment).is_ok_and(|found| !found.is_optional()) {
                    kept.insert(vec![field.text.clone()]);
                }
            }
            target(&next.to, &environment.with(&kept), report);
        }
        if let Some(if_cancelled) = &state.if_cancelled {
            target(if_cancelled, &environment, report);
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
