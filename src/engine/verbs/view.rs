//! The verb `view`: an instance with its tree and history, as a caller may see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_workflow::definition::{Action, Definition, Kind};
use sealwright_workflow::instance::{Instance, Status};
use uuid::Uuid;

use super::caller::Caller;
use crate::engine::rights::{Operation, Question, may_see, operations, questions};
use crate::engine::{Engine, EngineError};
use crate::store::instances::{self, HistoryRecord, Stored};

/// An instance as a caller may see it.
#[derive(Clone, Debug)]
pub struct View {
    pub stored: Stored,
    pub definition: Arc<Definition>,
    /// The tree it belongs to, itself included, oldest first.
    pub tree: Vec<Stored>,
    /// What happened, by instance of the tree.
    pub histories: BTreeMap<Uuid, Vec<HistoryRecord>>,
    /// Until when it stays in its state, where that has an end.
    pub deadline: Option<i64>,
    /// What it asks now, and what the parts below it ask of the caller.
    pub questions: Vec<Question>,
    /// What the caller may do with it beside answering.
    pub operations: Vec<Operation>,
}

impl View {
    /// The actions that the caller may take now.
    pub fn actions(&self) -> &[Action] {
        let own = self.questions.iter().find(|question| question.instance == self.stored.instance.id);
        own.map(|question| question.actions.as_slice()).unwrap_or_default()
    }
}

impl Engine {
    /// One instance with its history.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for what is not there or not this caller's to see.
    pub async fn view(&self, caller: &Caller, id: Uuid) -> Result<View, EngineError> {
        let reader = self.store().read();
        let (mut tree, deadline) = instances::tree(reader, id).await?;
        let stored = match tree.iter().find(|part| part.instance.id == id) {
            Some(stored) => stored.clone(),
            // A tree is shown up to a limit; each of its parts can be seen all the same.
            None => {
                let stored = instances::find(reader, id).await?.ok_or(EngineError::NotFound)?;
                tree.push(stored.clone());
                stored
            }
        };
        let root = tree.iter().find(|part| part.instance.id == stored.root).ok_or(EngineError::NotFound)?;
        let definition = self.visible(caller, &stored.instance, &root.instance)?;
        let ids = tree.iter().map(|part| part.instance.id).collect();
        let mut histories: BTreeMap<Uuid, Vec<HistoryRecord>> = BTreeMap::new();
        for row in instances::histories(reader, ids).await? {
            histories.entry(row.instance).or_default().push(row);
        }
        let questions = questions(self.definitions(), &tree, id, &caller.actor)?;
        let operations = operations(&definition, &stored, &caller.actor);
        // The timer of a state that is over may be there still.
        let state = definition.state(&stored.instance.state);
        let has_deadline = state.is_some_and(|state| state.deadline.is_some() && !matches!(state.kind, Kind::Do(_)));
        let deadline = deadline.filter(|_| has_deadline);
        Ok(View { stored, definition, tree, histories, deadline, questions, operations })
    }

    /// An instance that the caller may see, alone.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], also for what the caller may not see.
    pub async fn find(&self, caller: &Caller, id: Uuid) -> Result<Stored, EngineError> {
        let find = async |id| instances::find(self.store().read(), id).await?.ok_or(EngineError::NotFound);
        let stored: Stored = find(id).await?;
        let root = if stored.root == id { stored.clone() } else { find(stored.root).await? };
        self.visible(caller, &stored.instance, &root.instance)?;
        Ok(stored)
    }

    /// The definition of an instance, if the caller may see it: whoever sees the whole sees its parts.
    fn visible(&self, caller: &Caller, instance: &Instance, root: &Instance) -> Result<Arc<Definition>, EngineError> {
        let definition = self.definitions().of(&instance.workflow, instance.version)?;
        let of_root = self.definitions().of(&root.workflow, root.version)?;
        let sees = may_see(&definition, instance, &caller.actor) || may_see(&of_root, root, &caller.actor);
        if sees { Ok(definition) } else { Err(EngineError::NotFound) }
    }
}

/// What the parts of a tree said that explain why its root ended without success, the root's own words left out.
pub fn reasons(tree: &[Stored]) -> Vec<String> {
    let root = tree.iter().find(|part| part.instance.parent.is_none());
    let mut said: Vec<String> = Vec::new();
    for say in root.iter().flat_map(|root| causes(tree, &root.instance)).filter_map(|cause| cause.say.as_ref()) {
        if !said.contains(say) {
            said.push(say.clone());
        }
    }
    said
}

/// The deepest parts that explain why an instance failed: a part that failed because of its own parts adds nothing to what they say. Whatever was
/// stopped explains itself, and a part that was ended with the whole explains nothing.
pub fn causes<'t>(tree: &'t [Stored], of: &Instance) -> Vec<&'t Instance> {
    if of.status != Status::Failure {
        return Vec::new();
    }
    let parts = tree.iter().map(|part| &part.instance);
    let own = parts.filter_map(|part| Some((part.parent.as_ref().filter(|parent| parent.id == of.id)?.step, part)));
    // Only the last ones: what an earlier attempt met is over.
    let last = own.clone().map(|(step, _)| step).max();
    let own = own.filter(|(step, _)| Some(*step) == last).map(|(_, part)| part);
    let failed = own.filter(|part| !part.is_open() && part.status != Status::Success && part.cancelling.is_none());
    let explained = failed.flat_map(|part| {
        let deeper = causes(tree, part);
        if deeper.is_empty() && part.say.is_some() { vec![part] } else { deeper }
    });
    explained.collect()
}
