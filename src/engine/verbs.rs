//! The four verbs of pages and API: start, act, view, list. Nothing else changes an instance from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_workflow::definition::{Action, Definition, Field, Kind, Party, RESERVED_ACTIONS};
use sealwright_workflow::instance::{Actor, Event, Status};
use sealwright_workflow::step::{Begin, Rejection, may_act};
use sealwright_workflow::types::Type;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::commit::{Commit, person};
use super::{Engine, EngineError, dispatch};
use crate::audit::{self, Origin};
use crate::random;
use crate::store::instances::{Filter, HistoryRow, Stored, VisibleTo};
use crate::store::jobs::JobRow;
use crate::store::waits::TimerRow;
use crate::store::{StoreError, Tx, instances, jobs, waits};

/// Bounds of what a start from outside may give.
const LONGEST_TEXT: usize = 4000;
const MOST_VALUES: usize = 100;

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    pub actor: Actor,
    pub request: String,
}

impl Caller {
    pub fn new(login: &str, role: &str, request: &str) -> Self {
        let actor = Actor { person: person(login), role: role.to_owned() };
        Self { actor, request: request.to_owned() }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin {
            request: self.request.clone(),
            login: Some(self.actor.person.login.clone()),
            role: Some(self.actor.role.clone()),
            peer: None,
        }
    }
}

/// An instance as a caller may see it.
#[derive(Clone, Debug)]
pub struct View {
    pub stored: Stored,
    pub definition: Arc<Definition>,
    /// The tree it belongs to, itself included, oldest first.
    pub tree: Vec<Stored>,
    /// What happened, by instance of the tree.
    pub histories: BTreeMap<Uuid, Vec<HistoryRow>>,
    pub jobs: Vec<JobRow>,
    pub timers: Vec<TimerRow>,
    /// The actions that the caller may take now.
    pub actions: Vec<Action>,
    /// What the caller may do beside them, as one who repairs.
    pub repairs: Vec<Repair>,
}

/// What those who may repair a workflow can do with an instance, whatever its state offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// A stuck activity is tried again.
    Resume,
    /// The instance takes its way out.
    Cancel,
}

impl Repair {
    pub const ALL: [Self; 2] = [Self::Resume, Self::Cancel];

    /// The action's name; no `ask` may offer one of these.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resume => RESERVED_ACTIONS[0],
            Self::Cancel => RESERVED_ACTIONS[1],
        }
    }
}

impl Engine {
    /// Starts a workflow for the caller. A second start of what is held gives the first.
    ///
    /// # Errors
    /// [`EngineError::Forbidden`] when the role may not, [`EngineError::Rejected`] for wrong arguments.
    pub async fn start(
        &self,
        caller: &Caller,
        workflow: &str,
        arguments: Map<String, Value>,
    ) -> Result<Uuid, EngineError> {
        self.start_with(caller, workflow, arguments, |_, _, _| async { Ok(()) }).await
    }

    /// The same, with bookkeeping of the caller's own in the transaction of a new instance.
    ///
    /// # Errors
    /// As [`Engine::start`], and what `also` ends with.
    pub async fn start_with<F, Fut>(
        &self,
        caller: &Caller,
        workflow: &str,
        arguments: Map<String, Value>,
        also: F,
    ) -> Result<Uuid, EngineError>
    where
        F: Fn(Tx, Uuid, Arc<Definition>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let definition = self.definitions().current(workflow).cloned().ok_or(EngineError::NotFound)?;
        if !may_start(&definition, &caller.actor) {
            return Err(EngineError::Forbidden);
        }
        checked_arguments(&definition, &arguments)?;
        let id = random::id();
        let start = Begin {
            id,
            owner: caller.actor.person.clone(),
            requester: caller.actor.person.clone(),
            role: caller.actor.role.clone(),
            parent: None,
            arguments,
            policy: self.inner.policy.clone(),
        };
        let also = Arc::new(also);
        let started = dispatch::write(self, caller.origin(), move |engine, tx, origin| {
            let (definition, start, also) = (definition.clone(), start.clone(), also.clone());
            Box::pin(async move {
                let mut commit = Commit::new(&engine, &tx, &origin);
                commit.begin(&definition, start, id).await?;
                commit.chain().await?;
                also(tx.clone(), id, definition).await?;
                Ok((id, commit.after))
            })
        })
        .await;
        match started {
            Err(EngineError::Held(first)) => Ok(first),
            other => other,
        }
    }

    /// The open instance that a start would give instead of a new one.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn held(&self, caller: &Caller, workflow: &str) -> Result<Option<Uuid>, EngineError> {
        let Some(definition) = self.definitions().current(workflow) else { return Ok(None) };
        if !definition.holds.iter().any(|held| held.text == "owner") {
            return Ok(None);
        }
        Ok(instances::holder(self.store().read(), "owner", &caller.actor.person.login).await?)
    }

    /// Takes an action of the current state.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for what the caller may not see, [`EngineError::Rejected`] for what may not be done.
    pub async fn act(
        &self,
        caller: &Caller,
        id: Uuid,
        step: u64,
        action: &str,
        fields: Map<String, Value>,
    ) -> Result<(), EngineError> {
        self.view(caller, id).await?;
        let (actor, action) = (caller.actor.clone(), action.to_owned());
        dispatch::write(self, caller.origin(), move |engine, tx, origin| {
            let (actor, action, fields) = (actor.clone(), action.clone(), fields.clone());
            Box::pin(async move {
                let stored = instances::lock(&tx, id).await?.ok_or(EngineError::NotFound)?;
                let definition = engine.definitions().of(&stored.instance.workflow, stored.instance.version)?;
                let repair = repairs(&definition, &stored, &actor).into_iter().find(|repair| repair.as_str() == action);
                let mut commit = Commit::new(&engine, &tx, &origin);
                let event = audit::Event::WorkflowActed {
                    workflow: stored.instance.workflow.clone(),
                    state: stored.instance.state.clone(),
                    action: action.clone(),
                };
                audit::record(&tx, &origin, Some(id), engine.clock().now_ms(), &event).await?;
                let event = match repair {
                    Some(Repair::Resume) => Event::Resumed { step },
                    // What was looked at has moved on since.
                    Some(Repair::Cancel) if stored.instance.step != step => return Err(Rejection::Stale.into()),
                    Some(Repair::Cancel) => Event::Cancelled,
                    None => Event::Acted { step, action, actor, fields },
                };
                commit.apply(stored, event).await?;
                commit.chain().await?;
                Ok(((), commit.after))
            })
        })
        .await
    }

    /// One instance with its history.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for what is not there or not this caller's to see.
    pub async fn view(&self, caller: &Caller, id: Uuid) -> Result<View, EngineError> {
        let reader = self.store().read();
        let stored = instances::find(reader, id).await?.ok_or(EngineError::NotFound)?;
        let definition = self.definitions().of(&stored.instance.workflow, stored.instance.version)?;
        let tree = instances::tree(reader, stored.root).await?;
        let root = tree.iter().find(|part| part.instance.id == stored.root).ok_or(EngineError::NotFound)?;
        let root_definition = self.definitions().of(&root.instance.workflow, root.instance.version)?;
        if !may_see(&definition, &stored, &caller.actor) && !may_see(&root_definition, root, &caller.actor) {
            return Err(EngineError::NotFound);
        }
        let mut histories = BTreeMap::new();
        for part in &tree {
            histories.insert(part.instance.id, instances::history(reader, part.instance.id).await?);
        }
        let jobs = jobs::of_root(reader, stored.root).await?;
        let timers = waits::timers(reader, id).await?;
        let actions = possible_actions(&definition, &stored, &caller.actor);
        let repairs = repairs(&definition, &stored, &caller.actor);
        Ok(View { stored, definition, tree, histories, jobs, timers, actions, repairs })
    }

    /// Roots that the caller may see, the newest first.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn list(&self, caller: &Caller, mut filter: Filter, limit: u64) -> Result<Vec<Stored>, EngineError> {
        // A stuck child is what an operator looks for.
        filter.only_roots = !filter.only_stuck;
        // Asked of the database, not filtered afterwards: else what others have pushes one's own off the list.
        let seen = self.definitions().all().filter(|definition| sees_others(definition, &caller.actor));
        let workflows = seen.map(|definition| definition.name.text.clone()).collect();
        filter.visible_to = Some(VisibleTo { login: caller.actor.person.login.clone(), workflows });
        let found = instances::list(self.store().read(), &filter, limit).await?;
        Ok(found
            .into_iter()
            .filter(|stored| {
                self.definitions()
                    .of(&stored.instance.workflow, stored.instance.version)
                    .is_ok_and(|definition| may_see(&definition, stored, &caller.actor))
            })
            .collect())
    }
}

/// What parts of a tree said when they ended without success, the root's own words left out.
pub fn reasons(tree: &[Stored]) -> Vec<String> {
    let ended = tree.iter().map(|part| &part.instance);
    let failed = ended.filter(|part| part.parent.is_some() && !part.is_open() && part.status != Status::Success);
    let mut said: Vec<String> = failed.filter_map(|part| part.say.clone()).collect();
    said.dedup();
    said
}

pub fn may_start(definition: &Definition, actor: &Actor) -> bool {
    definition.start.by.iter().any(|role| role.text == actor.role)
}

fn may_see(definition: &Definition, stored: &Stored, actor: &Actor) -> bool {
    definition.see.iter().any(|party| match party {
        Party::Owner => actor.person == stored.instance.owner,
        Party::Requester => actor.person == stored.instance.requester,
        Party::Role(role) => actor.role == role.text,
    })
}

fn sees_others(definition: &Definition, actor: &Actor) -> bool {
    definition.see.iter().any(|party| matches!(party, Party::Role(role) if role.text == actor.role))
}

fn possible_actions(definition: &Definition, stored: &Stored, actor: &Actor) -> Vec<Action> {
    match definition.state(&stored.instance.state).map(|state| &state.kind) {
        Some(Kind::Ask(ask)) if stored.instance.is_open() => {
            ask.actions.iter().filter(|action| may_act(action, actor, &stored.instance)).cloned().collect()
        }
        _ => Vec::new(),
    }
}

fn repairs(definition: &Definition, stored: &Stored, actor: &Actor) -> Vec<Repair> {
    let may = definition.repair.iter().any(|role| role.text == actor.role);
    let is_stuck = stored.instance.status == Status::Stuck;
    let state = definition.state(&stored.instance.state);
    let possible = |repair: &Repair| match repair {
        Repair::Resume => is_stuck,
        // What must not be left half done can only be tried again.
        Repair::Cancel if is_stuck => state.is_some_and(|state| !state.goes_on_when_cancelled()),
        Repair::Cancel => stored.instance.is_open() && stored.instance.parent.is_none(),
    };
    Repair::ALL.into_iter().filter(|repair| may && possible(repair)).collect()
}

/// A start from outside gives the fields that must be given, of their types, and no other.
fn checked_arguments(definition: &Definition, given: &Map<String, Value>) -> Result<(), EngineError> {
    let is_asked_for = |field: &Field| field.default.is_none() && !field.field_type.is_optional();
    for (name, value) in given {
        let fits = definition.data.get(name).is_some_and(|field| is_asked_for(field) && fits(&field.field_type, value));
        if !fits {
            return Err(Rejection::Field { field: name.clone() }.into());
        }
    }
    for (name, field) in &definition.data {
        if is_asked_for(field) && !given.contains_key(name) {
            return Err(Rejection::Field { field: name.clone() }.into());
        }
    }
    Ok(())
}

/// Whether a value from outside is of a type. Records are the portal's own to make: none is taken from outside.
fn fits(of: &Type, value: &Value) -> bool {
    match (of, value) {
        (Type::Text, Value::String(text)) => {
            text.chars().count() <= LONGEST_TEXT && !text.chars().any(char::is_control)
        }
        (Type::Time, Value::String(text)) => OffsetDateTime::parse(text, &Rfc3339).is_ok(),
        (Type::Integer, value) => value.is_i64(),
        (Type::Bool, value) => value.is_boolean(),
        (Type::List(of), Value::Array(values)) => {
            values.len() <= MOST_VALUES && values.iter().all(|value| fits(of, value))
        }
        _ => false,
    }
}
