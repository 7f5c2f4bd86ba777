//! Children of an instance: begun one after another or several at once, counted, and joined when all have ended.

use serde_json::{Map, Value};

use super::machine::Machine;
use super::scope::Scope;
use super::{Rejection, unfit};
use crate::definition::{EndOutcome, Fork, Kind, Party, Run, State};
use crate::instance::{Cancelling, ChildEnd, Children, Effect, Waiting};

impl<'a> Machine<'a> {
    pub(super) fn begin_children(
        &mut self,
        state: &'a State,
        arguments: Vec<Map<String, Value>>,
        at_once: usize,
    ) -> Result<(), Rejection> {
        self.instance.waiting = Waiting::Children(Children { arguments, ..Children::default() });
        self.start_children(state, at_once)
    }

    fn start_children(&mut self, state: &'a State, at_once: usize) -> Result<(), Rejection> {
        let run = match &state.kind {
            Kind::Run(run) => run,
            Kind::Fork(fork) => &fork.run,
            _ => return Err(self.not_expected()),
        };
        let role = child_role(run);
        let Waiting::Children(children) = &mut self.instance.waiting else {
            return Err(unfit("no children"));
        };
        while children.running() < at_once.max(1)
            && let Some(arguments) = children.arguments.get(children.started)
        {
            self.effects.push(Effect::Start {
                index: children.started,
                workflow: run.workflow.text.clone(),
                arguments: arguments.clone(),
                role: role.clone(),
            });
            children.started += 1;
        }
        // A fork over an empty list has nothing to wait for.
        if children.arguments.is_empty() { self.join(state) } else { Ok(()) }
    }

    pub(super) fn fork_arguments(&self, fork: &Fork) -> Result<Vec<Map<String, Value>>, Rejection> {
        let Value::Array(elements) = self.read(&fork.over) else {
            return Err(unfit(&format!("`{}` is no list", fork.over)));
        };
        elements.iter().map(|element| self.arguments(&fork.run.with, Some((&fork.variable.text, element)))).collect()
    }

    pub(super) fn child_ended(&mut self, state: &'a State, index: usize, end: ChildEnd) -> Result<(), Rejection> {
        // A way out is gone to its end: only who is asked to leave begins nothing more.
        let stopping = matches!(self.instance.cancelling, Some(Cancelling::Asked { .. }));
        let at_once = match &state.kind {
            Kind::Run(_) => 1,
            Kind::Fork(fork) => usize::try_from(fork.at_once).unwrap_or(usize::MAX),
            _ => return Err(self.not_expected()),
        };
        let Waiting::Children(children) = &mut self.instance.waiting else {
            return Err(self.not_expected());
        };
        if index >= children.started || children.ended.contains_key(&index) {
            return Err(Rejection::Stale);
        }
        children.ended.insert(index, end);
        // The next one takes its place at once: a child that stands still holds up none but itself.
        let all_started = children.started == children.arguments.len();
        if !stopping && !all_started {
            return self.start_children(state, at_once);
        }
        if children.running() > 0 {
            return Ok(());
        }
        self.join(state)
    }

    /// Every child that was started has ended.
    fn join(&mut self, state: &'a State) -> Result<(), Rejection> {
        let Waiting::Children(children) = self.instance.waiting.clone() else {
            return Err(self.not_expected());
        };
        match &state.kind {
            Kind::Run(run) => {
                let end = children.ended.get(&0).ok_or_else(|| unfit("the child is missing"))?;
                let next = self.outcome(&run.next, end.outcome.as_str())?;
                self.leave(state, next, &Scope::Child(Value::Object(end.result.clone())))
            }
            Kind::Fork(fork) => {
                let all = children.ended.len() == children.arguments.len()
                    && children.ended.values().all(|end| end.outcome == EndOutcome::Success);
                let outcome = if all { "all-succeeded" } else { "not-all-succeeded" };
                let next = self.outcome(&fork.run.next, outcome)?;
                let results = children.ended.values().map(|end| Value::Object(end.result.clone())).collect();
                self.leave(state, next, &Scope::Children(results))
            }
            _ => Err(self.not_expected()),
        }
    }
}

fn child_role(run: &Run) -> Option<String> {
    match &run.role {
        Party::Role(role) => Some(role.text.clone()),
        Party::Owner | Party::Requester => None,
    }
}
