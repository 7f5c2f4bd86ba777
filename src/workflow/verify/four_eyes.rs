//! Every action can be taken by somebody, and by as many people as it asks for; an approval shows what it is for.

use std::collections::BTreeSet;

use super::{Context, role_of};
use crate::definition::{Action, Definition, Kind, Party, People, State};
use crate::diagnostic::Report;
use crate::guard;
use crate::types::Type;

const RULE: &str = "four-eyes";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for state in &context.definition.states {
        if let Kind::Ask(ask) = &state.kind {
            for action in &ask.actions {
                possible(context.definition, action, report);
                if let Some(people) = &action.people {
                    approval(context, state, action, people, report);
                }
            }
        }
    }
}

/// Whoever starts a workflow out of nothing, or about what is theirs, is its owner and its requester at once.
fn one_person(definition: &Definition) -> bool {
    let start = &definition.start;
    !start.by.is_empty() && (start.subject.is_none() || start.by.iter().all(|party| *party == Party::Owner))
}

/// Who is left of `by` once `never` is taken away.
fn left<'a>(definition: &Definition, action: &'a Action) -> Vec<&'a Party> {
    let one_person = one_person(definition);
    let excluded = |party: &Party| {
        action.never.iter().any(|never| match (never, party) {
            (Party::Role(never), Party::Role(role)) => never.text == role.text,
            (Party::Owner | Party::Requester, Party::Owner | Party::Requester) => never == party || one_person,
            _ => false,
        })
    };
    action.by.iter().filter(|party| !excluded(party)).collect()
}

fn possible(definition: &Definition, action: &Action, report: &mut Report) {
    if left(definition, action).is_empty() {
        let message = format!("nobody may take the action `{}`", action.name.text);
        report.add_with_hint(action.name.at, RULE, message, "name in `by` somebody whom `never` does not name");
    }
}

fn approval(context: &Context<'_>, state: &State, action: &Action, people: &People, report: &mut Report) {
    let left = left(context.definition, action);
    let by_role = left.iter().any(|party| role_of(party).is_some());
    let one_person = one_person(context.definition);
    let persons: BTreeSet<bool> = left.iter().map(|party| !one_person && matches!(party, Party::Owner)).collect();
    match people {
        People::Number(number) if !by_role && persons.len() < usize::try_from(*number).unwrap_or(usize::MAX) => {
            let message =
                format!("`{}` asks for {number} people, and only {} may take it", action.name.text, persons.len());
            report.add_with_hint(action.name.at, RULE, message, "name a role in `by`");
        }
        People::Number(_) => {}
        People::Path(path) => {
            let walk: Vec<String> = std::iter::once(path.root.clone()).chain(path.fields.iter().cloned()).collect();
            match guard::path_type(&walk, &context.environment(&state.name.text)) {
                Ok(Type::Integer) => {}
                Ok(found) => report.add(path.at, RULE, format!("`people` is a number, `{path}` is {found}")),
                Err(error) => report.add(path.at, RULE, error.to_string()),
            }
            // Whatever the number turns out to be, so many people must be there.
            if !by_role {
                let message =
                    format!("`{}` asks for as many people as `{path}` says, and has no role", action.name.text);
                report.add_with_hint(action.name.at, RULE, message, "name a role in `by`");
            }
        }
    }
    if state.show.is_empty() {
        let message = format!("`{}` is an approval of nothing: the state shows no data", action.name.text);
        report.add_with_hint(action.name.at, RULE, message, "say what is approved: `show: [draft]`");
    }
}
