//! What has happened: the ways that were taken, and the progress list made of them.

use std::sync::Arc;

use sealwright_workflow::definition::{Definition, EndOutcome, Kind, Mark, Next, State};
use sealwright_workflow::instance::{Instance, Status};
use serde_json::Value;
use time::macros::format_description;
use uuid::Uuid;

use crate::clock::moment;
use crate::desk::instances::HistoryRecord;
use crate::engine::verbs::View;
use crate::portal::Portal;

/// A line of the progress list.
#[derive(Debug, PartialEq)]
pub struct Line {
    pub label: String,
    pub status: LineStatus,
    pub below: Vec<Line>,
}

/// How a line of the progress list is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStatus {
    Done,
    Now,
    /// It went on, and left something undone.
    Undone,
    Failed,
    Cancelled,
}

impl LineStatus {
    /// The class of the style sheet.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::Undone => "undone",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn of(status: Status) -> Self {
        match status {
            Status::Running => Self::Now,
            Status::Success => Self::Done,
            Status::Stuck | Status::Failure => Self::Failed,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

pub fn history(view: &View, id: Uuid) -> &[HistoryRecord] {
    view.histories.get(&id).map(Vec::as_slice).unwrap_or_default()
}

/// An instance of the tree with its definition.
pub(super) fn part<'v>(portal: &Portal, view: &'v View, id: Uuid) -> Option<(&'v Instance, Arc<Definition>)> {
    let part = view.tree.iter().find(|part| part.instance.id == id)?;
    let definition = portal.engine.definitions().of(&part.instance.workflow, part.instance.version).ok()?;
    Some((&part.instance, definition))
}

/// The children that an instance began at a step.
pub(super) fn children(view: &View, id: Uuid, step: i64) -> impl Iterator<Item = &Instance> {
    view.tree.iter().map(|part| &part.instance).filter(move |child| {
        let parent = child.parent.as_ref();
        parent.is_some_and(|parent| parent.id == id && i64::try_from(parent.step).unwrap_or(-1) == step)
    })
}

/// What the definition says of the outcome by which an instance left a state. `row` is what happened there.
pub(super) fn outcome<'d>(view: &View, state: &'d State, step: i64, row: &HistoryRecord) -> Option<&'d Next> {
    let detail = row.detail.as_deref().unwrap_or_default();
    match (&state.kind, row.event.as_str()) {
        (Kind::Ask(ask), "acted") => {
            ask.actions.iter().find(|action| action.name.text == detail).map(|action| &action.next)
        }
        (Kind::Do(call) | Kind::Card(call), "completed") => call.next.get(detail),
        (Kind::Run(run), "child-ended") => run.next.get(detail),
        (Kind::Fork(fork), "child-ended") => {
            if children(view, row.instance, step).any(|child| child.status != Status::Success) {
                return fork.run.next.get("not-all-succeeded");
            }
            // Whoever stopped it may have done so before all were begun.
            fork.run.next.get("all-succeeded").filter(|next| next.to.states().any(|to| to.text == row.state))
        }
        (Kind::Wait(wait), "condition-held") => Some(&wait.next),
        _ => None,
    }
}

/// The states that were entered, each with what its children did.
pub fn progress(portal: &Portal, view: &View, id: Uuid) -> Vec<Line> {
    let Some((instance, definition)) = part(portal, view, id) else { return Vec::new() };
    let rows = history(view, id);
    // What comes after somebody or a deadline has ended it did not fail by itself.
    let ended_at = rows.iter().position(is_an_end_from_elsewhere);
    let mut entered: Vec<(usize, &HistoryRecord)> = rows.iter().enumerate().collect();
    entered.dedup_by_key(|(_, row)| row.step);
    let mut lines = Vec::new();
    for (index, (_, row)) in entered.iter().enumerate() {
        let Some(state) = definition.state(&row.state) else { continue };
        let left = entered.get(index + 1);
        let mut status = match left {
            None => LineStatus::of(instance.status),
            Some((_, next)) => status_left(view, &definition, state, row, next),
        };
        let changed_at = left.map_or(rows.len(), |(at, _)| *at);
        if status == LineStatus::Failed
            && instance.status != Status::Stuck
            && ended_at.is_some_and(|at| at <= changed_at)
        {
            status = LineStatus::Cancelled;
        }
        let below = children(view, id, row.step).flat_map(|child| below(portal, view, child)).collect();
        lines.push(Line { label: state.label.clone(), status, below });
    }
    lines
}

fn is_an_end_from_elsewhere(row: &HistoryRecord) -> bool {
    row.event == "cancelled" || (row.event == "timer" && row.detail.as_deref() == Some("deadline"))
}

/// What one of several parts is about.
pub(super) fn title_of(part: &Instance) -> Option<&str> {
    part.data.get("slot")?.get("title").and_then(Value::as_str)
}

fn below(portal: &Portal, view: &View, child: &Instance) -> Vec<Line> {
    let inner = progress(portal, view, child.id);
    let Some(title) = title_of(child) else { return inner };
    let is_undone = inner.iter().any(|line| line.status == LineStatus::Undone);
    let status = match inner.last().map(|line| line.status) {
        Some(LineStatus::Done) if is_undone => LineStatus::Undone,
        Some(status) if !child.is_open() => status,
        _ => LineStatus::of(child.status),
    };
    vec![Line { label: title.to_owned(), status, below: inner }]
}

/// How a state is marked that was left: by what its outcome leads to, then by what the definition says of that outcome.
fn status_left(
    view: &View,
    definition: &Definition,
    state: &State,
    row: &HistoryRecord,
    next: &HistoryRecord,
) -> LineStatus {
    let ends = definition.ends_after(&next.state);
    let was_lost = !definition.ends_after(&state.name.text).contains(&EndOutcome::Success);
    if !ends.contains(&EndOutcome::Success) && !was_lost {
        // Success cannot be reached any more, and could before: here it failed, or was ended.
        let is_ended = ends.iter().all(|end| *end == EndOutcome::Cancelled);
        return if is_ended { LineStatus::Cancelled } else { LineStatus::Failed };
    }
    let taken = outcome(view, state, row.step, next);
    let taken = taken.filter(|taken| taken.to.states().any(|to| to.text == next.state));
    match taken.and_then(|taken| taken.mark) {
        Some(Mark::Undone) => LineStatus::Undone,
        Some(Mark::Failed) => LineStatus::Failed,
        // On the way out a part may fail in its turn.
        None if was_lost => {
            let worst = children(view, row.instance, row.step).find(|child| child.status != Status::Success);
            worst.map_or(LineStatus::Done, |child| LineStatus::of(child.status))
        }
        None => LineStatus::Done,
    }
}

/// Whether something was left undone in it or in its parts.
pub fn is_undone(lines: &[Line]) -> bool {
    lines.iter().any(|line| line.status == LineStatus::Undone || is_undone(&line.below))
}

/// A moment for people, in UTC.
pub fn time_text(milliseconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    moment(milliseconds).format(format).unwrap_or_default()
}
