//! A sentence says what is there: each place names data that is set and reads as text, else it would have a hole.

use super::Context;
use crate::definition::{Path, State};
use crate::diagnostic::{Report, nearest};
use crate::guard;
use crate::step::places;
use crate::types::Type;

const RULE: &str = "sentences";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for state in &context.definition.states {
        for place in state.sentences().flat_map(places) {
            filled(context, state, place, report);
        }
    }
}

fn filled(context: &Context<'_>, state: &State, place: &str, report: &mut Report) {
    let at = state.name.at;
    let data = &context.definition.data;
    // Places are filled from the data alone: `owner` and `requester` are none of it.
    let known = Path::parse(place, at).and_then(|path| Some((data.get(&path.root)?, path)));
    let Some((field, path)) = known else {
        let message = format!("there is no data `{place}` to say");
        let root = place.split('.').next().unwrap_or(place);
        match nearest(root, data.keys().map(String::as_str)) {
            Some(hint) => report.add_with_hint(at, RULE, message, hint),
            None => report.add(at, RULE, message),
        }
        return;
    };
    // That a secret is never said is the rule `secrets`.
    if field.secret {
        return;
    }
    let walk: Vec<String> = std::iter::once(path.root.clone()).chain(path.fields.iter().cloned()).collect();
    match guard::path_type(&walk, &context.environment(&state.name.text)) {
        Ok(found) if found.is_optional() => {
            report.add(at, RULE, format!("`{path}` may be unset here: the sentence would have a hole"));
        }
        Ok(found) if !reads_as_text(context, &found) => {
            report.add(at, RULE, format!("`{path}` is {found}, which no sentence can say"));
        }
        Ok(_) => {}
        Err(error) => report.add(at, RULE, error.to_string()),
    }
}

fn reads_as_text(context: &Context<'_>, found: &Type) -> bool {
    matches!(found, Type::Text | Type::Integer | Type::Bool | Type::Time) || context.catalog.words(found).is_some()
}
