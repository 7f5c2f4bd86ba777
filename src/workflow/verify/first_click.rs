//! No start leaves a task for somebody else before a person has confirmed it: what comes to a question by itself begins with a form.

use std::collections::BTreeSet;

use super::Context;
use crate::definition::{Definition, Kind, Party, State};
use crate::diagnostic::Report;

pub(super) const RULE: &str = "first-click";

/// The role that no person has.
const SYSTEM: &str = "system";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    let is_persons = |party: &Party| !matches!(party, Party::Role(role) if role.text == SYSTEM);
    if definition.start.form.is_some() || !definition.start.by.iter().any(is_persons) {
        return;
    }
    if let Some(state) = asked_at_once(context, definition, &mut BTreeSet::new()) {
        report.add_with_hint(
            definition.name.at,
            RULE,
            format!("one click leaves the question `{state}` as a task for others"),
            "ask first, what is begun then: `start: { form: { ask: … } }`",
        );
    }
}

/// The first question to a role that is come to without a person or a card, in the workflow or one that it starts.
fn asked_at_once<'a>(
    context: &'a Context<'_>,
    definition: &'a Definition,
    known: &mut BTreeSet<&'a str>,
) -> Option<&'a str> {
    if !known.insert(&definition.name.text) {
        return None;
    }
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut work: Vec<&State> = definition.states.first().into_iter().collect();
    while let Some(state) = work.pop() {
        if !seen.insert(&state.name.text) {
            continue;
        }
        let child = match &state.kind {
            Kind::Ask(ask) => {
                let mut parties = ask.actions.iter().flat_map(|action| &action.by);
                if parties.any(|party| matches!(party, Party::Role(_))) {
                    return Some(&state.name.text);
                }
                continue;
            }
            Kind::Card(_) | Kind::End(_) => continue,
            Kind::Run(run) => Some(&run.workflow),
            Kind::Fork(fork) => Some(&fork.run.workflow),
            Kind::Do(_) | Kind::Wait(_) => None,
        };
        if let Some(child) = child.and_then(|child| context.workflows.get(&child.text))
            && let Some(found) = asked_at_once(context, child, known)
        {
            return Some(found);
        }
        let ways = state.ways().into_iter().flat_map(|next| next.to.states());
        work.extend(ways.filter_map(|name| definition.state(&name.text)));
    }
    None
}
