//! What is kept exists where it is kept, and fits the field it is kept in; what an end gives is set there.

use super::{Context, flow};
use crate::definition::Kind;
use crate::diagnostic::Report;
use crate::guard;

const RULE: &str = "keep";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for state in &context.definition.states {
        let entered = context.entered(&state.name.text);
        for next in state.ways() {
            let kept = flow::kept(context, state, next, &entered);
            for ((field, path), found) in next.keep.iter().zip(kept.types) {
                let Some(declared) = context.definition.data.get(&field.text) else {
                    report.add(field.at, RULE, format!("there is no data named `{}` to keep this in", field.text));
                    continue;
                };
                match found {
                    Ok(found) if declared.field_type.accepts(&found) => {}
                    Ok(found) => {
                        let message = format!("`{}` is {}, `{path}` is {found}", field.text, declared.field_type);
                        report.add(path.at, RULE, message);
                    }
                    Err(error) => {
                        report.add(path.at, RULE, format!("`{path}` is not brought by this outcome: {error}"))
                    }
                }
            }
        }
        if let Kind::End(end) = &state.kind {
            let environment = context.environment_with(&entered);
            for path in end.result.values() {
                let walk: Vec<String> = std::iter::once(path.root.clone()).chain(path.fields.iter().cloned()).collect();
                match guard::path_type(&walk, &environment) {
                    Ok(found) if !found.is_optional() => {}
                    Ok(_) => report.add(path.at, RULE, format!("`{path}` may be unset at this end")),
                    Err(error) => report.add(path.at, RULE, error.to_string()),
                }
            }
        }
    }
}
