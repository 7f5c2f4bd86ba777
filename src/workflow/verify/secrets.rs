//! A secret is never shown, asked, said, given to a parent, given to a child or kept as something plain.

use super::Context;
use crate::definition::{ArgumentValue, Definition, Fork, Kind, Path, Run};
use crate::diagnostic::Report;
use crate::step::places;

const RULE: &str = "secrets";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    for state in &definition.states {
        for shown in state.show.iter().filter(|shown| is_secret(definition, &shown.text)) {
            report.add(shown.at, RULE, format!("`{}` is secret and is never shown", shown.text));
        }
        for (field, path) in state.ways().into_iter().flat_map(|next| &next.keep) {
            if is_secret(definition, &path.root) && !is_secret(definition, &field.text) {
                report.add(path.at, RULE, format!("`{}` is secret, `{}` is not", path.root, field.text));
            }
        }
        if let Kind::End(end) = &state.kind {
            for path in end.result.values().filter(|path| is_secret(definition, &path.root)) {
                report.add(path.at, RULE, format!("`{}` is secret and stays in this instance", path.root));
            }
        }
        let names = state.sentences().flat_map(places).filter_map(|place| place.split('.').next());
        for name in names.filter(|name| is_secret(definition, name)) {
            report.add(state.name.at, RULE, format!("`{name}` is secret and is never said"));
        }
        match &state.kind {
            Kind::Run(run) => to_child(context, run, None, report),
            Kind::Fork(fork) => to_child(context, &fork.run, Some(fork), report),
            _ => {}
        }
    }
}

fn to_child(context: &Context<'_>, run: &Run, fork: Option<&Fork>, report: &mut Report) {
    let Some(child) = context.workflows.get(&run.workflow.text) else { return };
    for (name, argument) in &run.with {
        let paths = match &argument.value {
            ArgumentValue::Path(path) => std::slice::from_ref(path),
            ArgumentValue::Paths(paths) => paths.as_slice(),
            _ => continue,
        };
        // An element of a secret list is as secret as the list.
        let root_of = |path: &Path| match fork {
            Some(fork) if fork.variable.text == path.root => fork.over.root.clone(),
            _ => path.root.clone(),
        };
        for path in paths.iter().filter(|path| is_secret(context.definition, &root_of(path)) && !is_secret(child, name))
        {
            report.add(path.at, RULE, format!("`{}` is secret, `{name}` of `{}` is not", path.root, child.name.text));
        }
    }
}

fn is_secret(definition: &Definition, name: &str) -> bool {
    definition.data.get(name).is_some_and(|field| field.secret)
}
