//! Every name means something: activities, jobs, workflows, conditions, states, data, types, policies.

use super::Context;
use crate::definition::{Default, Kind, RESERVED_ACTIONS, Word};
use crate::diagnostic::{Report, nearest};
use crate::types::Type;

const RULE: &str = "names";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    let catalog = context.catalog;
    for field in definition.data.values() {
        let mut written = field.field_type.required();
        while let Type::List(inner) = written {
            written = inner;
        }
        if let Type::Named(name) = written {
            let word = Word { text: name.clone(), at: field.at };
            known(&word, "type", catalog.shape_names(), report);
        }
        if let Some(Default::Policy(path)) = &field.default {
            let word = Word { text: path.clone(), at: field.at };
            known(&word, "policy", catalog.policies(), report);
            if let Some(found) = catalog.policy(path)
                && !field.field_type.accepts(found)
            {
                report.add(
                    field.at,
                    RULE,
                    format!("the policy `{path}` is {found}, this field is {}", field.field_type),
                );
            }
        }
    }
    for held in definition.holds.iter().filter(|held| held.text != "owner") {
        known(held, "data", definition.data.keys().map(String::as_str), report);
    }
    let states = || definition.states.iter().map(|state| state.name.as_str());
    if let Some(deadline) = &definition.deadline {
        known(&deadline.to, "state", states(), report);
    }
    if let Some(cancel) = &definition.cancel {
        known(&cancel.to, "state", states(), report);
    }
    for (index, state) in definition.states.iter().enumerate() {
        if definition.states.iter().take(index).any(|other| other.name.text == state.name.text) {
            report.add(state.name.at, RULE, format!("there are two states `{}`", state.name.text));
        }
        for target in state.targets() {
            known(target, "state", states(), report);
        }
        for shown in &state.show {
            known(shown, "data", definition.data.keys().map(String::as_str), report);
        }
        for held in state.ways().into_iter().filter_map(|next| next.holds.as_ref()) {
            known(held, "data", definition.data.keys().map(String::as_str), report);
        }
        match &state.kind {
            Kind::Ask(ask) => {
                for action in ask.actions.iter().filter(|action| RESERVED_ACTIONS.contains(&action.name.as_str())) {
                    let name = &action.name.text;
                    report.add(
                        action.name.at,
                        RULE,
                        format!("`{name}` is what can be done in any state; call it otherwise"),
                    );
                }
            }
            Kind::Do(call) => {
                known(&call.name, "activity", catalog.activity_names(), report);
                let failures = catalog.activity(&call.name.text).map(|of| &of.failures);
                for (class, failures) in
                    call.retry.iter().flat_map(|retry| &retry.after).zip(failures.into_iter().cycle())
                {
                    known(class, "failure", failures.iter().map(String::as_str), report);
                }
            }
            Kind::Card(call) => known(&call.name, "card job", catalog.job_names(), report),
            Kind::Run(run) => known(&run.workflow, "workflow", context.workflows.keys().map(String::as_str), report),
            Kind::Fork(fork) => {
                known(&fork.run.workflow, "workflow", context.workflows.keys().map(String::as_str), report);
            }
            Kind::Wait(wait) => known(&wait.until, "condition", catalog.conditions(), report),
            Kind::End(_) => {}
        }
    }
}

fn known<'a>(word: &Word, what: &str, names: impl Iterator<Item = &'a str>, report: &mut Report) {
    let names: Vec<&str> = names.collect();
    if names.contains(&word.as_str()) {
        return;
    }
    let message = format!("there is no {what} `{}`", word.text);
    match nearest(&word.text, names) {
        Some(hint) => report.add_with_hint(word.at, RULE, message, hint),
        None => report.add(word.at, RULE, message),
    }
}
