//! Every outcome leads somewhere, and every outcome that is named can happen.

use std::collections::BTreeSet;

use super::Context;
use crate::definition::{Kind, Outcomes};
use crate::diagnostic::{Position, Report};

pub(super) const RULE: &str = "outcomes";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for state in &context.definition.states {
        let (possible, next): (BTreeSet<&str>, &Outcomes) = match &state.kind {
            Kind::Do(call) => match context.catalog.activity(&call.name.text) {
                Some(of) => (of.outcomes.keys().map(String::as_str).collect(), &call.next),
                None => continue,
            },
            Kind::Card(call) => match context.catalog.job(&call.name.text) {
                Some(of) => (of.outcomes.keys().map(String::as_str).collect(), &call.next),
                None => continue,
            },
            Kind::Run(run) => (BTreeSet::from(["success", "failure", "cancelled"]), &run.next),
            Kind::Fork(fork) => (BTreeSet::from(["all-succeeded", "not-all-succeeded"]), &fork.run.next),
            Kind::Ask(ask) if ask.actions.is_empty() => {
                report.add(state.name.at, RULE, "nobody can leave this state: it offers no action");
                continue;
            }
            Kind::Ask(_) | Kind::Wait(_) | Kind::End(_) => continue,
        };
        handled(&possible, next, state.name.at, report);
    }
}

fn handled(possible: &BTreeSet<&str>, next: &Outcomes, at: Position, report: &mut Report) {
    for (name, _) in &next.named {
        if !possible.contains(name.as_str()) {
            let known: Vec<&str> = possible.iter().copied().collect();
            report.add_with_hint(
                name.at,
                RULE,
                format!("there is no outcome `{}`", name.text),
                format!("the outcomes are {}", known.join(", ")),
            );
        }
    }
    if next.otherwise.is_none() {
        for missing in possible.iter().filter(|outcome| !next.named.iter().any(|(name, _)| name.text == **outcome)) {
            report.add_with_hint(
                at,
                RULE,
                format!("the outcome `{missing}` is forgotten"),
                format!("say where it leads: `{missing}: state`, or close with `otherwise: state`"),
            );
        }
    }
}
