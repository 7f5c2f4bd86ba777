//! The stages of a workflow, known from the start: which are over, which is the present one, which are to come.

use sealwright_workflow::definition::{Definition, Fork, Kind};
use sealwright_workflow::instance::{Instance, Status, Waiting};
use serde_json::Value;

use super::past::{children, history};
use crate::engine::verbs::View;

/// A stage on the page.
#[derive(Debug, PartialEq)]
pub struct Stage {
    pub title: String,
    /// `done`, `now`, `failed`, `cancelled`, `skipped` or `next`.
    pub status: &'static str,
    /// How many parts are done, and of how many.
    pub parts: Option<(usize, usize)>,
    /// Where it stands, or where it ended.
    pub is_present: bool,
}

/// The stages of an instance; none where its definition declares none.
pub fn stages(view: &View, definition: &Definition) -> Vec<Stage> {
    let instance = &view.stored.instance;
    let way = history(view, instance.id).iter().map(|row| row.state.as_str()).chain([instance.state.as_str()]);
    let of_state = |name: &str| {
        let named = definition.state(name)?.stage.as_ref()?;
        definition.stages.iter().position(|stage| stage.text == named.text)
    };
    let entered: Vec<usize> = way.filter_map(of_state).collect();
    let present = entered.last().copied();
    let line = |(index, title): (usize, &sealwright_workflow::definition::Word)| Stage {
        title: title.text.clone(),
        status: match present {
            Some(present) if index == present => status_of(instance.status),
            Some(present) if index > present => "next",
            Some(_) if entered.contains(&index) => "done",
            Some(_) => "skipped",
            None => "next",
        },
        parts: parts(view, definition, &title.text),
        is_present: Some(index) == present,
    };
    definition.stages.iter().enumerate().map(line).collect()
}

fn status_of(status: Status) -> &'static str {
    match status {
        Status::Running => "now",
        Status::Success => "done",
        Status::Stuck | Status::Failure => "failed",
        Status::Cancelled => "cancelled",
    }
}

/// The parts of the first fork in a stage; none where there is one part alone.
fn parts(view: &View, definition: &Definition, stage: &str) -> Option<(usize, usize)> {
    let instance = &view.stored.instance;
    let of_stage = definition.states.iter().filter(|state| state.stage.as_ref().is_some_and(|of| of.text == stage));
    let (state, fork) = of_stage.into_iter().find_map(|state| match &state.kind {
        Kind::Fork(fork) => Some((state, fork)),
        _ => None,
    })?;
    let step = history(view, instance.id).iter().rfind(|row| row.state == state.name.text).map(|row| row.step);
    let done = step
        .map_or(0, |step| children(view, instance.id, step).filter(|child| child.status == Status::Success).count());
    let all = match &instance.waiting {
        Waiting::Children(children) if instance.state == state.name.text => children.arguments.len(),
        _ => length(instance, fork),
    };
    (all > 1).then_some((done.min(all), all))
}

/// How many parts there will be, as far as the data tells.
fn length(instance: &Instance, fork: &Fork) -> usize {
    let mut value = instance.data.get(&fork.over.root);
    for field in &fork.over.fields {
        value = value.and_then(|value| value.get(field));
    }
    value.and_then(Value::as_array).map_or(0, Vec::len)
}
