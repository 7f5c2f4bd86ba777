//! A form asks for text of some length, or for one of the words of a choice: nothing else can be typed into a page.

use super::Context;
use crate::definition::Kind;
use crate::diagnostic::Report;
use crate::types::Type;

const RULE: &str = "forms";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let of_start = context.definition.start.form.iter().flat_map(|form| &form.fields);
    let of_states = context.definition.states.iter().flat_map(|state| match &state.kind {
        Kind::Ask(ask) => ask.actions.as_slice(),
        _ => &[],
    });
    for input in of_start.chain(of_states.flat_map(|action| &action.fields)) {
        let name = &input.name;
        let is_text = *input.input_type.required() == Type::Text;
        if !is_text && context.catalog.words(&input.input_type).is_none() {
            let message = format!("nobody can type a {} into `{}`", input.input_type.required(), name.text);
            report.add_with_hint(name.at, RULE, message, "ask for text, or for a choice of words");
        }
        if input.length.0 > input.length.1 {
            report.add(name.at, RULE, format!("no text is as long as `{}` wants it", name.text));
        }
    }
}
