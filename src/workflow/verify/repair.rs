//! What can get stuck has somebody who repairs it: an activity may fail for ever, and a card's job may get an outcome that a released version does not
//! know.

use super::Context;
use crate::definition::Kind;
use crate::diagnostic::Report;

const RULE: &str = "repair";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let definition = context.definition;
    let stuck = definition.states.iter().find(|state| matches!(state.kind, Kind::Do(_) | Kind::Card(_)));
    if let Some(state) = stuck
        && definition.repair.is_empty()
    {
        report.add_with_hint(
            definition.name.at,
            RULE,
            format!("the state `{}` may get stuck, and nobody may repair it", state.name.text),
            "say who: `repair: [ca-operator]`",
        );
    }
}
