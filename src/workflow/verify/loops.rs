//! Every loop passes a person, a card or a condition of the world: else it would run without rest.

use std::collections::BTreeSet;

use super::Context;
use crate::definition::{Definition, Kind, State};
use crate::diagnostic::Report;

const RULE: &str = "loops";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    for state in definition.states.iter().filter(|state| is_automatic(state)) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut work: Vec<&str> = automatic_targets(definition, state);
        while let Some(name) = work.pop() {
            if name == state.name.text {
                report.add_with_hint(
                    state.name.at,
                    RULE,
                    format!("the state `{}` comes back to itself without a person, a card or a wait", state.name.text),
                    "put an `ask`, `card` or `wait` into the loop",
                );
                break;
            }
            if seen.insert(name)
                && let Some(next) = definition.state(name)
            {
                work.extend(automatic_targets(definition, next));
            }
        }
    }
}

fn is_automatic(state: &State) -> bool {
    matches!(state.kind, Kind::Do(_) | Kind::Run(_) | Kind::Fork(_))
}

fn automatic_targets<'a>(definition: &'a Definition, state: &'a State) -> Vec<&'a str> {
    if !is_automatic(state) {
        return Vec::new();
    }
    state
        .ways()
        .into_iter()
        .flat_map(|next| next.to.states())
        .map(|word| word.as_str())
        .filter(|name| definition.state(name).is_some_and(is_automatic))
        .collect()
}
