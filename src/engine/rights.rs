//! Who may start, see, answer and operate.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_workflow::definition::{Action, Definition, Kind, Party, RESERVED_ACTIONS};
use sealwright_workflow::instance::{Actor, Instance, Status};
use sealwright_workflow::step::{About, is_party, may_act, may_claim, needed};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Definitions, EngineError};
use crate::random;
use crate::store::instances::Stored;

/// What can be done with an instance, whatever its state offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A stuck activity is tried again.
    Resume,
    /// The instance takes its way out.
    Cancel,
    /// The caller takes the question upon themselves.
    Claim,
    /// The question is everybody's again.
    Release,
}

impl Operation {
    pub const ALL: [Self; 4] = [Self::Resume, Self::Cancel, Self::Claim, Self::Release];

    /// The action's name; no `ask` may offer one of these.
    pub fn as_str(self) -> &'static str {
        let [resume, cancel, claim, release] = RESERVED_ACTIONS;
        match self {
            Self::Resume => resume,
            Self::Cancel => cancel,
            Self::Claim => claim,
            Self::Release => release,
        }
    }
}

/// What an instance asks, and what the caller may answer.
#[derive(Clone, Debug)]
pub struct Question {
    pub instance: Uuid,
    pub definition: Arc<Definition>,
    pub step: u64,
    /// The question itself, with its places filled.
    pub text: String,
    pub actions: Vec<Action>,
    /// The data that is shown with it, in the order of the definition.
    pub data: Vec<(String, Value)>,
    /// Its digest, which an approval binds to.
    pub shown: String,
    /// The login of who works on it.
    pub claimed_by: Option<String>,
    /// How many people have said yes, and how many must; for approvals.
    pub approvals: Option<(usize, usize)>,
    /// Claim or release.
    pub operations: Vec<Operation>,
}

/// A question as everybody sees it.
pub(super) struct Asked {
    pub text: String,
    pub data: Vec<(String, Value)>,
    pub shown: String,
}

/// What an instance asks now.
pub(super) fn question(definition: &Definition, instance: &Instance) -> Option<Asked> {
    let state = definition.state(&instance.state)?;
    let Kind::Ask(ask) = &state.kind else { return None };
    if !instance.is_open() {
        return None;
    }
    let shown = state.show.iter().filter_map(|name| Some((name.text.clone(), instance.data.get(&name.text)?.clone())));
    let data: Vec<(String, Value)> = shown.collect();
    // The keys of records are sorted: the same data has the same text.
    let said = json!([instance.state, data]).to_string();
    let text = sealwright_workflow::step::fill(&ask.question, &instance.data);
    Some(Asked { text, data, shown: random::digest(said.as_bytes()) })
}

/// An instance and everything below it, in the tree's order. That is no order of parents and children: the clock may have been set back between them.
pub fn below(tree: &[Stored], id: Uuid) -> Vec<&Stored> {
    let parent = |part: &Stored| Some((part.instance.id, part.instance.parent.as_ref()?.id));
    let parents: BTreeMap<Uuid, Uuid> = tree.iter().filter_map(parent).collect();
    let is_below = |part: &&Stored| {
        let mut up = std::iter::successors(Some(part.instance.id), |at| parents.get(at).copied());
        up.any(|at| at == id)
    };
    tree.iter().filter(is_below).collect()
}

/// What an instance asks, and what the parts of the tree below it ask of the caller.
pub(super) fn questions(
    definitions: &Definitions,
    tree: &[Stored],
    id: Uuid,
    actor: &Actor,
) -> Result<Vec<Question>, EngineError> {
    let mut found = Vec::new();
    for part in below(tree, id) {
        let instance = &part.instance;
        let Ok(definition) = definitions.of(&instance.workflow, instance.version) else { continue };
        let Some(asked) = question(&definition, instance) else { continue };
        let Some(Kind::Ask(ask)) = definition.state(&instance.state).map(|state| &state.kind) else { continue };
        let actions: Vec<Action> =
            ask.actions.iter().filter(|action| may_act(action, actor, instance)).cloned().collect();
        let operations = claiming(&definition, instance, actor);
        if instance.id != id && actions.is_empty() {
            continue;
        }
        let approval = ask.actions.iter().find(|action| action.people.is_some());
        found.push(Question {
            instance: instance.id,
            step: instance.step,
            text: asked.text,
            actions,
            data: asked.data,
            shown: asked.shown,
            claimed_by: instance.claimed_by.as_ref().map(|person| person.login.clone()),
            approvals: approval.map(|action| (instance.approvals.len(), needed(action, instance))),
            operations,
            definition,
        });
    }
    Ok(found)
}

/// Whether the actor may take some action of the present question.
pub(super) fn may_answer(definition: &Definition, state: &str, about: About<'_>, actor: &Actor) -> bool {
    match definition.state(state).map(|state| &state.kind) {
        Some(Kind::Ask(ask)) => ask.actions.iter().any(|action| may_act(action, actor, about)),
        _ => false,
    }
}

/// Whether some state asks the actor's role.
pub(super) fn asks(definition: &Definition, actor: &Actor) -> bool {
    definition.states.iter().any(|state| match &state.kind {
        Kind::Ask(ask) => {
            let mut parties = ask.actions.iter().flat_map(|action| &action.by);
            parties.any(|party| matches!(party, Party::Role(role) if role.text == actor.role))
        }
        _ => false,
    })
}

/// Whether the actor may start it out of nothing, in their role.
pub fn may_start(definition: &Definition, actor: &Actor) -> bool {
    definition.start.is_by_role(&actor.role)
}

/// Whether the actor may start it about something that is `owner`'s.
pub fn may_start_for(definition: &Definition, owner: &str, actor: &Actor) -> bool {
    let about = About { owner, requester: &actor.person.login };
    definition.start.subject.is_some() && definition.start.by.iter().any(|party| is_party(party, actor, about))
}

pub(super) fn may_see<'a>(definition: &Definition, about: impl Into<About<'a>>, actor: &Actor) -> bool {
    let about = about.into();
    definition.see.iter().any(|party| is_party(party, actor, about))
}

/// Whether the role sees instances of everybody.
pub(super) fn sees_others(definition: &Definition, actor: &Actor) -> bool {
    definition.see.iter().any(|party| matches!(party, Party::Role(role) if role.text == actor.role))
}

/// Whether the actor's role repairs what is stuck.
pub(super) fn may_repair(definition: &Definition, actor: &Actor) -> bool {
    definition.repair.iter().any(|role| role.text == actor.role)
}

/// What the caller may do with an instance beside answering it.
pub(super) fn operations(definition: &Definition, stored: &Stored, actor: &Actor) -> Vec<Operation> {
    let instance = &stored.instance;
    let repairs = may_repair(definition, actor);
    let cancels = definition.cancel.iter().any(|cancel| cancel.by.iter().any(|party| is_party(party, actor, instance)));
    let is_stuck = instance.status == Status::Stuck;
    let state = definition.state(&instance.state);
    let mut possible = Vec::new();
    if repairs && is_stuck {
        possible.push(Operation::Resume);
    }
    // What must not be left half done can only be tried again, and what is on its way out goes on.
    let can_end = if is_stuck {
        repairs && state.is_some_and(|state| !state.goes_on_when_cancelled())
    } else {
        (repairs || cancels) && instance.is_open() && instance.parent.is_none() && instance.cancelling.is_none()
    };
    if can_end {
        possible.push(Operation::Cancel);
    }
    possible.extend(claiming(definition, instance, actor));
    possible
}

fn claiming(definition: &Definition, instance: &Instance, actor: &Actor) -> Vec<Operation> {
    let state = definition.state(&instance.state).filter(|_| instance.is_open());
    match state {
        Some(state) if may_claim(state, actor, instance) => {
            vec![if instance.claimed_by.is_none() { Operation::Claim } else { Operation::Release }]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part of a tree: its id, and its parent's.
    fn part(id: u128, parent: Option<u128>) -> Stored {
        let person = json!({ "login": "alice" });
        let parent = parent.map(|parent| json!({ "id": Uuid::from_u128(parent), "step": 1, "index": 0 }));
        let instance = json!({
            "id": Uuid::from_u128(id), "workflow": "w", "version": 1, "state": "s", "step": 1, "entered_at": 1,
            "status": "running", "waiting": "job", "cancelling": null, "data": {}, "owner": person, "requester": person,
            "role": "user", "parent": parent, "result": null, "say": null,
        });
        let instance = serde_json::from_value(instance).expect("an instance");
        Stored { instance, root: Uuid::from_u128(1), revision: 1, started_at: 1, changed_at: 1, ended_at: None }
    }

    #[test]
    fn what_is_below_is_found_in_whatever_order_it_was_started() {
        let tree = [part(3, Some(2)), part(1, None), part(4, Some(1)), part(2, Some(1))];
        let found = |id| -> Vec<u128> {
            let parts = below(&tree, Uuid::from_u128(id));
            parts.into_iter().map(|part| part.instance.id.as_u128()).collect()
        };
        assert_eq!([found(1), found(2), found(4)], [vec![3, 1, 4, 2], vec![3, 2], vec![4]]);
    }
}
