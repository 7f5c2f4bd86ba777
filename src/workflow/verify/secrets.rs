//! A secret is never shown, said, given to a parent or kept as something plain.

use super::Context;
use crate::definition::{Definition, Kind};
use crate::diagnostic::Report;

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
            let said =
                end.say.iter().flat_map(|say| say.split('{').skip(1)).filter_map(|part| part.split(['}', '.']).next());
            for name in said.filter(|name| is_secret(definition, name)) {
                report.add(state.name.at, RULE, format!("`{name}` is secret and is never said"));
            }
        }
    }
}

fn is_secret(definition: &Definition, name: &str) -> bool {
    definition.data.get(name).is_some_and(|field| field.secret)
}
