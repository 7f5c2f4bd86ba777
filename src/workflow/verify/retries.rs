//! What is tried until a deadline has one, and a `do` has a deadline for nothing else.

use super::Context;
use crate::definition::Kind;
use crate::diagnostic::Report;

const RULE: &str = "retries";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for state in &context.definition.states {
        let Kind::Do(call) = &state.kind else { continue };
        let is_until_deadline = call.retry.as_ref().is_some_and(|retry| retry.attempts.is_none());
        if is_until_deadline && state.deadline.is_none() && context.definition.deadline.is_none() {
            report.add_with_hint(
                state.name.at,
                RULE,
                format!("`{}` is tried until a deadline, and there is none", state.name.text),
                "give the state one, or the whole workflow: `deadline: { after: 7d, to: state }`",
            );
        }
        if let Some(deadline) = &state.deadline
            && !is_until_deadline
        {
            report.add_with_hint(
                deadline.to.at,
                RULE,
                "an activity is not broken off: its deadline ends its tries",
                "say `until: deadline` in its `retry`",
            );
        }
    }
}
