//! Roles exist.

use super::{Context, role_of};
use crate::definition::{Kind, Word};
use crate::diagnostic::{Report, nearest};

const RULE: &str = "roles";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    let mut roles: Vec<&Word> = definition.repair.iter().collect();
    roles.extend(definition.start.by.iter().filter_map(role_of));
    roles.extend(definition.see.iter().filter_map(role_of));
    roles.extend(definition.cancel.iter().flat_map(|cancel| &cancel.by).filter_map(role_of));
    for state in &definition.states {
        match &state.kind {
            Kind::Ask(ask) => {
                for action in &ask.actions {
                    roles.extend(action.by.iter().chain(&action.never).filter_map(role_of));
                }
            }
            Kind::Run(run) => roles.extend(role_of(&run.role)),
            Kind::Fork(fork) => roles.extend(role_of(&fork.run.role)),
            Kind::Do(_) | Kind::Card(_) | Kind::Wait(_) | Kind::End(_) => {}
        }
    }
    for role in roles {
        if !context.catalog.roles().any(|known| known == role.text) {
            let message = format!("there is no role `{}`", role.text);
            match nearest(&role.text, context.catalog.roles()) {
                Some(hint) => report.add_with_hint(role.at, RULE, message, hint),
                None => report.add(role.at, RULE, message),
            }
        }
    }
}
