//! A start names what it is about, its owner only then, and what the clock starts needs nothing from anybody.

use super::Context;
use crate::definition::Party;
use crate::diagnostic::Report;

const RULE: &str = "start";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    let start = &definition.start;
    let at = definition.name.at;
    if let Some(subject) = &start.subject {
        match definition.data.get(&subject.text) {
            None => report.add(subject.at, RULE, format!("there is no data `{}` to be about", subject.text)),
            Some(field) if !context.catalog.is_subject(&field.field_type) => {
                let message = format!("nobody can look up a {} by its id", field.field_type);
                report.add_with_hint(
                    subject.at,
                    RULE,
                    message,
                    "a start is about a required field such as a certificate",
                );
            }
            Some(_) => {}
        }
    }
    if start.by.contains(&Party::Owner) && start.subject.is_none() {
        report.add_with_hint(at, RULE, "what begins out of nothing has no owner yet", "say `about:`, or name a role");
    }
    if start.by.contains(&Party::Requester) {
        report.add(at, RULE, "whoever starts it is the requester: name a role, or `owner`");
    }
    if start.every.is_some() {
        for (name, field) in &definition.data {
            if field.default.is_none() && !field.field_type.is_optional() {
                let message = format!("nobody gives `{name}` when the clock starts this");
                report.add_with_hint(field.at, RULE, message, "make it optional, or give it a first value");
            }
        }
        if let Some(subject) = &start.subject {
            report.add(subject.at, RULE, "what the clock starts is about nothing in particular");
        }
    }
}
