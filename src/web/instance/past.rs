//! What has happened: the progress list and the history.

use sealwright_workflow::instance::Status;
use serde_json::Value;
use time::macros::format_description;
use uuid::Uuid;

use crate::clock::moment;
use crate::desk::instances::HistoryRecord;
use crate::engine::verbs::View;
use crate::portal::Portal;

/// A line of the progress list.
pub struct Line {
    pub label: String,
    /// `done`, `now`, `failed` or `cancelled`.
    pub status: &'static str,
    pub below: Vec<Line>,
}

/// A line of the history.
pub struct Entry {
    pub at: String,
    pub label: String,
    pub what: String,
    pub who: String,
}

pub fn history(view: &View, id: Uuid) -> &[HistoryRecord] {
    view.histories.get(&id).map(Vec::as_slice).unwrap_or_default()
}

/// The states that were entered, each with what its children did.
pub fn progress(portal: &Portal, view: &View, id: Uuid) -> Vec<Line> {
    let Some(part) = view.tree.iter().find(|part| part.instance.id == id) else { return Vec::new() };
    let Ok(definition) = portal.engine.definitions().of(&part.instance.workflow, part.instance.version) else {
        return Vec::new();
    };
    let mut lines: Vec<Line> = Vec::new();
    let mut last = None;
    for row in history(view, id) {
        if last == Some(row.step) {
            continue;
        }
        last = Some(row.step);
        let Some(state) = definition.state(&row.state) else { continue };
        let current = row.step == i64::try_from(part.instance.step).unwrap_or(-1);
        let status = if current { line_status(part.instance.status) } else { "done" };
        let children = view.tree.iter().filter(|child| {
            child
                .instance
                .parent
                .as_ref()
                .is_some_and(|parent| parent.id == id && i64::try_from(parent.step).unwrap_or(-1) == row.step)
        });
        let below = children
            .flat_map(|child| {
                let title = child.instance.data.get("slot").and_then(|slot| slot.get("title")).and_then(Value::as_str);
                let inner = progress(portal, view, child.instance.id);
                match title {
                    Some(title) => {
                        vec![Line { label: title.to_owned(), status: line_status(child.instance.status), below: inner }]
                    }
                    None => inner,
                }
            })
            .collect();
        lines.push(Line { label: state.label.clone(), status, below });
    }
    lines
}

fn line_status(status: Status) -> &'static str {
    match status {
        Status::Running => "now",
        Status::Success => "done",
        Status::Stuck | Status::Failure => "failed",
        Status::Cancelled => "cancelled",
    }
}

pub fn entries(portal: &Portal, view: &View) -> Vec<Entry> {
    let mut rows: Vec<_> = view.histories.values().flatten().collect();
    rows.sort_by_key(|row| (row.at, row.revision));
    rows.into_iter()
        .filter_map(|row| {
            let part = view.tree.iter().find(|part| part.instance.id == row.instance)?;
            let definition = portal.engine.definitions().of(&part.instance.workflow, part.instance.version).ok()?;
            let label = definition.state(&row.state).map(|state| state.label.clone()).unwrap_or_default();
            Some(Entry {
                at: time_text(row.at),
                label: format!("{}: {label}", definition.title),
                what: what(&row.event, row.detail.as_deref().unwrap_or_default()),
                who: row.actor.clone().unwrap_or_default(),
            })
        })
        .collect()
}

/// What happened, in words: the engine's names of events (`engine/events.rs`) are for programs.
fn what(event: &str, detail: &str) -> String {
    let detail = detail.replace('-', " ");
    match (event, detail.as_str()) {
        ("started", _) => "Started".to_owned(),
        ("acted", action) => format!("Action: {action}"),
        ("completed", outcome) => format!("Result: {outcome}"),
        ("failed", class) => format!("Attempt failed: {class}"),
        ("timer", "retry") => "Tried again".to_owned(),
        ("timer", "state deadline" | "deadline") => "Deadline passed".to_owned(),
        ("child-ended", outcome) => format!("Part ended: {outcome}"),
        ("condition-held", _) => "Condition met".to_owned(),
        ("cancelled", _) => "Asked to end".to_owned(),
        ("claimed", _) => "Claimed".to_owned(),
        ("released", _) => "Released".to_owned(),
        ("resumed", _) => "Tried again by an operator".to_owned(),
        (event, detail) => format!("{event} {detail}").replace('-', " ").trim().to_owned(),
    }
}

/// A moment for people, in UTC.
pub fn time_text(milliseconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    moment(milliseconds).format(format).unwrap_or_default()
}
