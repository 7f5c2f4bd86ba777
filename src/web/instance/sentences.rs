//! The history in sentences: who did what, with which result and reason, in the words of the definition.

use std::collections::BTreeMap;

use sealwright_protocol::visible;
use sealwright_workflow::definition::{Action, Definition, Input, Kind, State};
use sealwright_workflow::instance::Instance;
use serde_json::Value;

use super::past::{history, outcome, part, time_text, title_of};
use crate::desk::instances::HistoryRecord;
use crate::engine::verbs::View;
use crate::portal::Portal;

/// A row of the history.
#[derive(Debug, PartialEq)]
pub struct Entry {
    pub at: String,
    /// The title of the part that it happened in.
    pub part: String,
    /// One sentence.
    pub what: String,
}

/// Everything that happened in the tree, in its order.
pub fn entries(portal: &Portal, view: &View) -> Vec<Entry> {
    let mut told: Vec<(i64, i64, Entry)> = Vec::new();
    for id in view.histories.keys() {
        let Some((instance, definition)) = part(portal, view, *id) else { continue };
        let rows = history(view, *id);
        let title = match title_of(instance) {
            Some(about) => format!("{}: {}", definition.title, visible(about)),
            None => definition.title.clone(),
        };
        let part = Part { view, instance, definition: &definition, last: last_kept(&definition, rows) };
        for (index, row) in rows.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| rows.get(before));
            let entry = Entry { at: time_text(row.at), part: title.clone(), what: part.sentence(before, row) };
            told.push((row.at, row.revision, entry));
        }
    }
    told.sort_by_key(|(at, revision, _)| (*at, *revision));
    told.into_iter().map(|(_, _, entry)| entry).collect()
}

/// The revision at which each field of the data was last kept from a form: the data has what was given then, and nothing older.
fn last_kept(definition: &Definition, rows: &[HistoryRecord]) -> BTreeMap<String, i64> {
    let mut last = BTreeMap::new();
    for (before, row) in rows.iter().zip(rows.iter().skip(1)) {
        let state = definition.state(&before.state);
        let action = state.and_then(|state| taken(state, row)).filter(|_| before.step != row.step);
        for (field, _) in action.into_iter().flat_map(|action| &action.next.keep) {
            last.insert(field.text.clone(), row.revision);
        }
    }
    last
}

/// The action that was taken in a state.
fn taken<'d>(state: &'d State, row: &HistoryRecord) -> Option<&'d Action> {
    let Kind::Ask(ask) = &state.kind else { return None };
    let is_taken = |action: &&Action| row.event == "acted" && row.detail.as_ref() == Some(&action.name.text);
    ask.actions.iter().find(is_taken)
}

/// One instance of the tree, while its history is told.
struct Part<'a> {
    view: &'a View,
    instance: &'a Instance,
    definition: &'a Definition,
    last: BTreeMap<String, i64>,
}

impl Part<'_> {
    /// `before` is the row before: the state that it names is where this one happened.
    fn sentence(&self, before: Option<&HistoryRecord>, row: &HistoryRecord) -> String {
        let who = row.actor.as_deref().map_or_else(|| "The portal".to_owned(), visible);
        let Some(before) = before else {
            return match self.instance.parent {
                Some(_) => format!("“{}” began.", self.definition.title),
                None => told(&format!("{who} started “{}”", self.definition.title), &self.given_at_start()),
            };
        };
        let state = self.definition.state(&before.state);
        let label = state.map_or(before.state.as_str(), |state| state.label.as_str());
        let detail = row.detail.as_deref().unwrap_or_default();
        let has_moved = row.step != before.step;
        if let Some(action) = state.and_then(|state| taken(state, row)) {
            return self.act(&who, action, row, has_moved);
        }
        let outcome = state.filter(|_| has_moved).and_then(|state| outcome(self.view, state, before.step, row));
        if let Some(say) = outcome.and_then(|outcome| outcome.say.as_ref()) {
            return say.clone();
        }
        let words = detail.replace('-', " ");
        match (row.event.as_str(), detail) {
            ("acted", _) => format!("{who} chose “{words}”."),
            ("completed", _) => format!("{label}: {words}."),
            ("failed", _) => format!("{label}: an attempt failed ({words})."),
            ("timer", "retry") => format!("{label}: tried again."),
            ("timer", "deadline") => format!("The time for “{}” was up.", self.definition.title),
            ("timer", _) => format!("{label}: the time was up."),
            ("child-ended", "success") => format!("{label}: a part is done."),
            ("child-ended", "failure") => format!("{label}: a part failed."),
            ("child-ended", _) => format!("{label}: a part was ended."),
            ("condition-held", _) => format!("{label}: this is over."),
            ("cancelled", _) if row.actor.is_some() => format!("{who} stopped “{}”.", self.definition.title),
            ("cancelled", _) => format!("“{}” was to end.", self.definition.title),
            ("claimed", _) => format!("{who} took on “{label}”."),
            ("released", _) => format!("{who} left “{label}” to others."),
            ("resumed", _) => format!("{who} had “{label}” tried again."),
            (event, _) => format!("{label}: {} {words}.", event.replace('-', " ")),
        }
    }

    fn act(&self, who: &str, action: &Action, row: &HistoryRecord, has_moved: bool) -> String {
        let did = match &action.did {
            Some(did) => format!("{who} {did}"),
            None => format!("{who} chose “{}”", action.label),
        };
        let given = if has_moved { self.given(action, row.revision) } else { Vec::new() };
        let mut sentence = told(&did, &given);
        if !has_moved {
            sentence.push_str(" More approvals are needed.");
        }
        sentence
    }

    /// What the person wrote or chose, where the data still has it. Secrets are never told.
    fn given(&self, action: &Action, revision: i64) -> Vec<String> {
        let kept = action
            .next
            .keep
            .iter()
            .filter(|(field, path)| path.root == "fields" && self.last.get(&field.text) == Some(&revision));
        let told = kept.filter_map(|(field, path)| {
            let input = action.fields.iter().find(|input| path.fields.first() == Some(&input.name.text))?;
            self.value(&field.text, input)
        });
        told.collect()
    }

    /// The same of the form that it was started with.
    fn given_at_start(&self) -> Vec<String> {
        let fields = self.definition.start.form.iter().flat_map(|form| &form.fields);
        let untouched = fields.filter(|input| !self.last.contains_key(&input.name.text));
        untouched.filter_map(|input| self.value(&input.name.text, input)).collect()
    }

    fn value(&self, field: &str, input: &Input) -> Option<String> {
        let is_secret = self.definition.data.get(field).is_none_or(|declared| declared.secret);
        let text =
            self.instance.data.get(field).and_then(Value::as_str).filter(|text| !is_secret && !text.is_empty())?;
        let is_choice = !input.choices.is_empty();
        Some(if is_choice { text.replace('-', " ") } else { format!("“{}”", visible(text)) })
    }
}

/// One sentence of what somebody did, and what they gave with it.
fn told(did: &str, given: &[String]) -> String {
    match given.last() {
        None => format!("{did}."),
        Some(last) if last.ends_with('”') => format!("{did}: {}", given.join(", ")),
        Some(_) => format!("{did}: {}.", given.join(", ")),
    }
}
