//! Roles exist, and where somebody must act people can sign in with them.

use super::{Context, role_of};
use crate::definition::{Kind, Word};
use crate::diagnostic::{Report, nearest};

const RULE: &str = "roles";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    let mut acting: Vec<&Word> = definition.repair.iter().collect();
    acting.extend(definition.cancel.iter().flat_map(|cancel| &cancel.by).filter_map(role_of));
    let mut named: Vec<&Word> = definition.start.by.iter().chain(&definition.see).filter_map(role_of).collect();
    for state in &definition.states {
        match &state.kind {
            Kind::Ask(ask) => {
                for action in &ask.actions {
                    acting.extend(action.by.iter().filter_map(role_of));
                    named.extend(action.never.iter().filter_map(role_of));
                }
            }
            Kind::Run(run) => named.extend(role_of(&run.role)),
            Kind::Fork(fork) => named.extend(role_of(&fork.run.role)),
            Kind::Do(_) | Kind::Card(_) | Kind::Wait(_) | Kind::End(_) => {}
        }
    }
    for role in acting.iter().filter(|role| context.catalog.is_own_role(role.as_str())) {
        let message = format!("nobody can sign in as `{}`", role.text);
        report.add_with_hint(role.at, RULE, message, "name a role that people have");
    }
    for role in acting.into_iter().chain(named) {
        if !context.catalog.roles().any(|known| known == role.text) {
            let message = format!("there is no role `{}`", role.text);
            match nearest(&role.text, context.catalog.roles()) {
                Some(hint) => report.add_with_hint(role.at, RULE, message, hint),
                None => report.add(role.at, RULE, message),
            }
        }
    }
}
