//! Every state can be reached, and from every state an end can be reached.

use std::collections::BTreeSet;

use super::Context;
use crate::definition::Kind;
use crate::diagnostic::Report;

const RULE: &str = "reachability";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut work: Vec<&str> = definition.states.first().map(|state| state.name.as_str()).into_iter().collect();
    work.extend(definition.deadline.iter().map(|deadline| deadline.to.as_str()));
    work.extend(definition.cancel.iter().map(|cancel| cancel.to.as_str()));
    while let Some(name) = work.pop() {
        if reached.insert(name)
            && let Some(state) = definition.state(name)
        {
            work.extend(state.targets().into_iter().map(|word| word.as_str()));
        }
    }
    // Backwards from the ends, until nothing is added.
    let mut ending: BTreeSet<&str> = BTreeSet::new();
    let mut before = usize::MAX;
    while before != ending.len() {
        before = ending.len();
        for state in &definition.states {
            let ends = matches!(state.kind, Kind::End(_))
                || state.targets().into_iter().any(|target| ending.contains(target.as_str()));
            if ends {
                ending.insert(state.name.as_str());
            }
        }
    }
    for state in &definition.states {
        if !reached.contains(state.name.as_str()) {
            report.add_with_hint(
                state.name.at,
                RULE,
                format!("nothing leads to the state `{}`", state.name.text),
                "lead to it or remove it",
            );
        } else if !ending.contains(state.name.as_str()) {
            report.add(state.name.at, RULE, format!("no end can be reached from the state `{}`", state.name.text));
        }
    }
}
