//! A call gets every argument it needs, none that it does not know, and each of the right type; a condition is about a text.

use std::collections::BTreeMap;

use super::Context;
use crate::definition::{Argument, ArgumentValue, Kind, Path, State};
use crate::diagnostic::{Report, nearest};
use crate::guard::{self, Environment};
use crate::types::Type;

const RULE: &str = "parameters";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for state in &context.definition.states {
        let mut environment = context.environment(&state.name.text);
        match &state.kind {
            Kind::Do(call) => {
                if let Some(of) = context.catalog.activity(&call.name.text) {
                    arguments(state, &call.with, &of.parameters, &environment, report);
                }
            }
            Kind::Card(call) => {
                if let Some(of) = context.catalog.job(&call.name.text) {
                    arguments(state, &call.with, &of.parameters, &environment, report);
                }
            }
            Kind::Run(run) => {
                if let Some(inputs) = child_inputs(context, &run.workflow.text) {
                    arguments(state, &run.with, &inputs, &environment, report);
                }
            }
            Kind::Fork(fork) => {
                let over: Vec<String> =
                    std::iter::once(fork.over.root.clone()).chain(fork.over.fields.iter().cloned()).collect();
                match guard::path_type(&over, &environment) {
                    Ok(Type::List(of)) => {
                        environment.names.insert(fork.variable.text.clone(), *of);
                    }
                    Ok(found) => report.add(fork.over.at, RULE, format!("`{}` is {found}, not a list", fork.over)),
                    Err(error) => report.add(fork.over.at, RULE, error.to_string()),
                }
                if let Some(inputs) = child_inputs(context, &fork.run.workflow.text) {
                    arguments(state, &fork.run.with, &inputs, &environment, report);
                }
            }
            Kind::Wait(wait) => {
                if let Some(subject) = &wait.subject {
                    fits("about", &Type::Text, subject, &environment, report);
                }
            }
            Kind::Ask(_) | Kind::End(_) => {}
        }
    }
}

/// A child's data is its parameters: what has a first value may be left out.
fn child_inputs(context: &Context<'_>, workflow: &str) -> Option<BTreeMap<String, Type>> {
    let child = context.workflows.get(workflow)?;
    let inputs = child.data.iter().map(|(name, field)| {
        let optional = field.default.is_some();
        let field_type = if optional { field.field_type.clone().optional() } else { field.field_type.clone() };
        (name.clone(), field_type)
    });
    Some(inputs.collect())
}

fn arguments(
    state: &State,
    given: &BTreeMap<String, Argument>,
    expected: &BTreeMap<String, Type>,
    environment: &Environment<'_>,
    report: &mut Report,
) {
    for (name, argument) in given {
        let Some(parameter) = expected.get(name) else {
            let message = format!("there is no parameter `{name}`");
            match nearest(name, expected.keys().map(String::as_str)) {
                Some(hint) => report.add_with_hint(argument.at, RULE, message, hint),
                None => report.add(argument.at, RULE, message),
            }
            continue;
        };
        let (paths, parameter) = match (&argument.value, parameter.required()) {
            (ArgumentValue::Path(path), _) => (std::slice::from_ref(path), parameter),
            (ArgumentValue::Paths(paths), Type::List(of)) => (paths.as_slice(), of.as_ref()),
            _ => continue,
        };
        for path in paths {
            fits(name, parameter, path, environment, report);
        }
    }
    for (name, _) in expected.iter().filter(|(name, of)| !of.is_optional() && !given.contains_key(*name)) {
        report.add(state.name.at, RULE, format!("the parameter `{name}` is missing"));
    }
}

fn fits(name: &str, parameter: &Type, path: &Path, environment: &Environment<'_>, report: &mut Report) {
    let walk: Vec<String> = std::iter::once(path.root.clone()).chain(path.fields.iter().cloned()).collect();
    match guard::path_type(&walk, environment) {
        Ok(found) if parameter.accepts(&found) => {}
        Ok(found) if found.is_optional() && parameter.accepts(found.required()) => {
            report.add(path.at, RULE, format!("`{path}` may be unset here, `{name}` must be set"));
        }
        Ok(found) => report.add(path.at, RULE, format!("`{name}` is {parameter}, `{path}` is {found}")),
        Err(error) => report.add(path.at, RULE, format!("`{path}`: {error}")),
    }
}
