//! A start names what it is about, its owner only then, and what the clock starts needs nothing from anybody.

use super::Context;
use crate::definition::{Form, Party};
use crate::diagnostic::Report;
use crate::step::places;

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
    if let Some(form) = &start.form {
        check_form(context, form, report);
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

/// The fields of a start's form are data, and everything that a start must give is in the form.
fn check_form(context: &Context<'_>, form: &Form, report: &mut Report) {
    let definition = context.definition;
    let is_subject = |name: &str| definition.start.subject.as_ref().is_some_and(|subject| subject.text == name);
    for input in &form.fields {
        let name = &input.name;
        match definition.data.get(&name.text) {
            _ if is_subject(&name.text) => {
                report.add(name.at, RULE, format!("`{}` is named by its id and not typed in", name.text));
            }
            None => report.add(name.at, RULE, format!("there is no data `{}` that the field could become", name.text)),
            Some(field) if field.field_type.required() != input.input_type.required() => {
                let message = format!("the data `{}` is a {}", name.text, field.field_type.required());
                report.add(name.at, RULE, message);
            }
            Some(field) if field.secret => {
                report.add(name.at, RULE, format!("`{}` is secret, and nobody types a secret into a page", name.text));
            }
            Some(field) if input.input_type.is_optional() && !field.field_type.is_optional() => {
                report.add(
                    name.at,
                    RULE,
                    format!("the data `{}` must be given, so the field may not be left out", name.text),
                );
            }
            Some(_) => {}
        }
    }
    for (name, field) in &definition.data {
        let is_given = is_subject(name) || form.fields.iter().any(|input| input.name.text == *name);
        if !is_given && field.default.is_none() && !field.field_type.is_optional() {
            let message = format!("`{name}` must be given at the start, and the form does not ask for it");
            report.add_with_hint(form.at, RULE, message, "add a field of this name, or give it a first value");
        }
    }
    if places(&form.question).next().is_some() {
        report.add(form.at, RULE, "a form is shown before there is data: its question has no places to fill");
    }
}
