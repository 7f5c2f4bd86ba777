//! A workflow never starts itself, not even by others: the tree of instances would have no bound.

use std::collections::BTreeSet;

use super::Context;
use crate::diagnostic::Report;

const RULE: &str = "recursion";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for child in context.definition.children() {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut work = vec![child.as_str()];
        while let Some(name) = work.pop() {
            if name == context.definition.name.text {
                let message =
                    format!("`{}` would start `{}` again without end", child.text, context.definition.name.text);
                report.add(child.at, RULE, message);
                break;
            }
            if seen.insert(name)
                && let Some(definition) = context.workflows.get(name)
            {
                work.extend(definition.children().map(|word| word.as_str()));
            }
        }
    }
}
