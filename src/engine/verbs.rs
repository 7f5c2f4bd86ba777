//! The four verbs of pages and API: start, act, view, list. Nothing else changes an instance from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealwright_workflow::definition::{Action, Definition, Kind, Party};
use sealwright_workflow::instance::{Actor, Event, Instance, Person, Status};
use sealwright_workflow::step::{About, Begin, Rejection};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::arguments::{checked_arguments, find_subject};
use super::commit::Commit;
use super::idempotency::{Key, REMEMBERED};
use super::rights::{
    Operation, Question, asks, may_answer, may_see, may_start, operations, question, questions, sees_others,
};
use super::{Engine, EngineError, dispatch};
use crate::audit::{self, Origin};
use crate::random;
use crate::store::instances::{Filter, HistoryRow, Listed, Stored, VisibleTo};
use crate::store::{StoreError, Tx, idempotency, instances};

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    pub actor: Actor,
    origin: Origin,
}

impl Caller {
    pub fn new(login: &str, role: &str, origin: &Origin) -> Self {
        let actor = Actor { person: Person::new(login), role: role.to_owned() };
        Self { actor, origin: origin.clone() }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin {
            login: Some(self.actor.person.login.clone()),
            role: Some(self.actor.role.clone()),
            ..self.origin.clone()
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

/// An action as somebody sends it.
#[derive(Clone, Debug, Default)]
pub struct Act {
    /// The step that was looked at: another one has moved on.
    pub step: u64,
    pub action: String,
    pub fields: Map<String, Value>,
    /// The digest of what was shown; an approval cannot do without.
    pub shown: Option<String>,
}

impl Engine {
    /// Starts a workflow for the caller. A second start of what is held gives the first.
    ///
    /// # Errors
    /// [`EngineError::Forbidden`] when the role may not, [`EngineError::Rejected`] for wrong arguments, [`EngineError::KeyReused`].
    pub async fn start(
        &self,
        caller: &Caller,
        workflow: &str,
        arguments: Map<String, Value>,
        key: Option<Key>,
    ) -> Result<Uuid, EngineError> {
        let (used, login) = (key.clone(), caller.actor.person.login.clone());
        let now = self.clock().now_ms();
        let remember = move |tx: Tx, id: Uuid, _: Arc<Definition>| {
            let (key, login) = (key.clone(), login.clone());
            async move {
                match key {
                    Some(key) => key.remember(&tx, &login, id, now).await,
                    None => Ok(()),
                }
            }
        };
        let login = &caller.actor.person.login;
        let definition = self.startable(caller, workflow).await?;
        checked_arguments(&definition, &arguments)?;
        match (self.begin_root(caller, definition, arguments, remember).await, used) {
            (Err(EngineError::Store(StoreError::Exists(_))), Some(key)) => key.first(self.store(), login).await,
            // The key gives what is open, also once that has ended.
            (Err(EngineError::Held(held)), Some(key)) => key.remember_alone(self.store(), login, held, now).await,
            (Err(EngineError::Held(held)), None) => Ok(held),
            (started, _) => started,
        }
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
        let definition = self.startable(caller, workflow).await?;
        checked_arguments(&definition, &arguments)?;
        match self.begin_root(caller, definition, arguments, also).await {
            Err(EngineError::Held(held)) => Ok(held),
            started => started,
        }
    }

    /// Starts a workflow for the portal itself, which may also give what has a first value, or may be missing.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_own(
        &self,
        caller: &Caller,
        workflow: &str,
        arguments: Map<String, Value>,
    ) -> Result<Uuid, EngineError> {
        let definition = self.startable(caller, workflow).await?;
        self.begin_root(caller, definition, arguments, |_, _, _| async { Ok(()) }).await
    }

    /// What this caller may start; a refusal is recorded.
    async fn startable(&self, caller: &Caller, workflow: &str) -> Result<Arc<Definition>, EngineError> {
        let definition = self.definitions().current(workflow).cloned().ok_or(EngineError::NotFound)?;
        if definition.start.subject.is_none() && !may_start(&definition, &caller.actor) {
            let event = audit::Event::StartRefused { workflow: definition.name.text.clone() };
            audit::record_alone(self.store(), caller.origin(), None, self.clock().now_ms(), event).await?;
            return Err(EngineError::Forbidden);
        }
        Ok(definition)
    }

    /// Begins a tree; [`EngineError::Held`] says which one is open already.
    async fn begin_root<F, Fut>(
        &self,
        caller: &Caller,
        definition: Arc<Definition>,
        arguments: Map<String, Value>,
        also: F,
    ) -> Result<Uuid, EngineError>
    where
        F: Fn(Tx, Uuid, Arc<Definition>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
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
        dispatch::write(self, caller.origin(), move |engine, tx, origin| {
            let (definition, mut start, also) = (definition.clone(), start.clone(), also.clone());
            Box::pin(async move {
                find_subject(&engine, &tx, &definition, &mut start).await?;
                let mut commit = Commit::new(&engine, &tx, &origin);
                commit.begin(&definition, start, id).await?;
                also(tx.clone(), id, definition).await?;
                Ok((id, commit.finish().await?))
            })
        })
        .await
    }

    /// The open instance that a start would give instead of a new one.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn held(&self, caller: &Caller, workflow: &str) -> Result<Option<Uuid>, EngineError> {
        let Some(definition) = self.definitions().current(workflow) else { return Ok(None) };
        if !definition.holds.iter().any(|held| held.text == instances::OWNER) {
            return Ok(None);
        }
        let login = caller.actor.person.login.clone();
        self.inner
            .holders
            .get(login, async || {
                Ok(instances::holder(self.store().read(), instances::OWNER, &caller.actor.person.login).await?)
            })
            .await
    }

    /// Takes an action of the current state, or an [`Operation`].
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for what the caller may not see, [`EngineError::Rejected`] for what may not be done,
    /// [`EngineError::IdentityUnavailable`] when it cannot be found out whether two people are one, [`EngineError::KeyReused`].
    pub async fn act(&self, caller: &Caller, id: Uuid, act: Act, key: Option<Key>) -> Result<(), EngineError> {
        let view = self.view(caller, id).await?;
        let login = &caller.actor.person.login;
        let acted = self.act_once(caller, &view, act, key.clone()).await;
        if let Err(EngineError::Rejected(Rejection::Forbidden { action } | Rejection::Twice { action })) = &acted {
            self.audit_refusal(caller, &view.stored, action).await?;
        }
        match (acted, key) {
            // It may have been done before, by the same request, and have moved the instance on.
            (Err(error), Some(key)) => match key.first(self.store(), login).await {
                Ok(_) => Ok(()),
                Err(EngineError::NotFound) => Err(error),
                Err(other) => Err(other),
            },
            (acted, _) => acted,
        }
    }

    async fn audit_refusal(&self, caller: &Caller, stored: &Stored, action: &str) -> Result<(), EngineError> {
        let instance = &stored.instance;
        let event = audit::Event::ActionRefused {
            workflow: instance.workflow.clone(),
            state: instance.state.clone(),
            action: action.to_owned(),
        };
        let now = self.clock().now_ms();
        Ok(audit::record_alone(self.store(), caller.origin(), Some(instance.id), now, event).await?)
    }

    async fn act_once(&self, caller: &Caller, view: &View, act: Act, key: Option<Key>) -> Result<(), EngineError> {
        let id = view.stored.instance.id;
        self.check_four_eyes(view, &caller.actor, &act.action).await?;
        let (actor, revision) = (caller.actor.clone(), view.stored.revision);
        dispatch::write(self, caller.origin(), move |engine, tx, origin| {
            let (actor, act, key) = (actor.clone(), act.clone(), key.clone());
            Box::pin(async move {
                if let Some(key) = key {
                    key.remember(&tx, &actor.person.login, id, engine.clock().now_ms()).await?;
                }
                let mut commit = Commit::new(&engine, &tx, &origin);
                let stored = commit.lock(id).await?.ok_or(EngineError::NotFound)?;
                let definition = engine.definitions().of(&stored.instance.workflow, stored.instance.version)?;
                let event = event(&definition, &stored, actor, &act)?;
                // Whom it was compared with must be all who have said yes.
                if is_approval(&definition, &stored.instance, &act.action) && stored.revision != revision {
                    return Err(Rejection::Stale.into());
                }
                let shown = question(&definition, &stored.instance).map(|question| question.shown);
                let acted = audit::Event::WorkflowActed {
                    workflow: stored.instance.workflow.clone(),
                    state: stored.instance.state.clone(),
                    action: act.action,
                    shown,
                };
                audit::record(&tx, &origin, Some(id), engine.clock().now_ms(), &acted)?;
                commit.apply(stored, event).await?;
                Ok(((), commit.finish().await?))
            })
        })
        .await
    }

    /// Nobody decides on their own request by a second account, and nobody counts twice.
    async fn check_four_eyes(&self, view: &View, actor: &Actor, action: &str) -> Result<(), EngineError> {
        let Some(action) = view.actions().iter().find(|known| known.name.text == action) else { return Ok(()) };
        let instance = &view.stored.instance;
        let mut others: BTreeSet<&str> = BTreeSet::new();
        for never in &action.never {
            match never {
                Party::Owner => others.extend([instance.owner.login.as_str()]),
                Party::Requester => others.extend([instance.requester.login.as_str()]),
                Party::Role(_) => {}
            }
        }
        others.extend(instance.approvals.iter().map(|approval| approval.person.login.as_str()));
        for other in others.into_iter().filter(|other| *other != actor.person.login) {
            if self.inner.identities.same_person(&actor.person.login, other).await? {
                return Err(Rejection::Forbidden { action: action.name.text.clone() }.into());
            }
        }
        Ok(())
    }

    /// Forgets idempotency keys that were used more than a day ago.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn forget_keys(&self) -> Result<u64, EngineError> {
        let before = self.clock().now_ms() - REMEMBERED;
        Ok(self
            .store()
            .write::<_, StoreError, _, _>(move |tx| async move { idempotency::expire(&tx, before).await })
            .await?)
    }

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
        let mut histories: BTreeMap<Uuid, Vec<HistoryRow>> = BTreeMap::new();
        for row in instances::histories(reader, ids).await? {
            histories.entry(row.instance).or_default().push(row);
        }
        let questions = questions(self.definitions(), &tree, id, &caller.actor)?;
        let operations = operations(&definition, &stored, &caller.actor);
        // The timer of a state that is over may be there still.
        let has_deadline = definition.state(&stored.instance.state).is_some_and(|state| state.deadline.is_some());
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

    /// Whether questions may wait for the caller's role at all.
    pub fn has_tasks(&self, caller: &Caller) -> bool {
        self.definitions().all().any(|definition| asks(definition, &caller.actor))
    }

    /// Whether the caller sees what is others'.
    pub fn sees_others(&self, caller: &Caller) -> bool {
        self.definitions().all().any(|definition| sees_others(definition, &caller.actor))
    }

    /// Whether the caller sees what others' instances of one workflow are about.
    pub fn sees_others_of(&self, caller: &Caller, workflow: &str) -> bool {
        self.definitions().current(workflow).is_some_and(|definition| sees_others(definition, &caller.actor))
    }

    /// The questions that wait for the caller's role.
    pub fn tasks_of(&self, caller: &Caller) -> Filter {
        Filter { task_of: Some(caller.actor.role.clone()), ..Filter::default() }
    }

    /// The questions about what is the caller's own.
    pub fn questions_of(&self, caller: &Caller) -> Filter {
        let owner = Some(caller.actor.person.login.clone());
        Filter { owner, only_open: true, only_questions: true, ..Filter::default() }
    }

    /// Roots that the caller may see, the newest first; of questions those that the caller may answer, of tasks the oldest first.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn list(&self, caller: &Caller, filter: Filter, limit: u64) -> Result<Arc<[Listed]>, EngineError> {
        let key = (caller.actor.clone(), filter.clone(), limit);
        self.inner.lists.get(key, async || self.look_up(caller, filter, limit).await).await
    }

    async fn look_up(&self, caller: &Caller, mut filter: Filter, limit: u64) -> Result<Arc<[Listed]>, EngineError> {
        let only_questions = filter.only_questions || filter.task_of.is_some();
        // A stuck child is what an operator looks for, and a child's question.
        filter.only_roots = !filter.only_stuck && !only_questions;
        // Asked of the database, not filtered afterwards: else what others have pushes one's own off the list.
        let seen = self.definitions().all().filter(|definition| sees_others(definition, &caller.actor));
        let workflows = seen.map(|definition| definition.name.text.clone()).collect();
        filter.visible_to = Some(VisibleTo { login: caller.actor.person.login.clone(), workflows });
        let found = instances::list(self.store().read(), &filter, limit).await?;
        Ok(found
            .into_iter()
            .filter(|listed| {
                self.definitions().of(&listed.workflow, listed.version()).is_ok_and(|definition| {
                    let about = About { owner: &listed.owner, requester: &listed.requester };
                    let is_theirs = !only_questions || may_answer(&definition, &listed.state, about, &caller.actor);
                    is_theirs && may_see(&definition, about, &caller.actor)
                })
            })
            .collect())
    }
}

/// What somebody's action is to the instance.
fn event(definition: &Definition, stored: &Stored, actor: Actor, act: &Act) -> Result<Event, EngineError> {
    let Act { step, action, fields, shown } = act.clone();
    let is_possible = |operation| operations(definition, stored, &actor).contains(&operation);
    Ok(match Operation::ALL.into_iter().find(|operation| operation.as_str() == action) {
        // The step function knows who may.
        Some(Operation::Claim) => Event::Claimed { step, actor },
        Some(Operation::Release) => Event::Released { step, actor },
        // It may have been possible when it was looked at.
        Some(_) if !stored.instance.is_open() => return Err(Rejection::Stale.into()),
        Some(operation) if !is_possible(operation) => return Err(Rejection::Forbidden { action }.into()),
        Some(Operation::Resume) => Event::Resumed { step },
        // What was looked at has moved on since.
        Some(Operation::Cancel) if stored.instance.step != step => return Err(Rejection::Stale.into()),
        Some(Operation::Cancel) => {
            Event::Cancelled { to: definition.cancel.as_ref().map(|cancel| cancel.to.text.clone()) }
        }
        None => {
            let now = question(definition, &stored.instance).map(|question| question.shown).unwrap_or_default();
            match shown {
                Some(shown) if shown != now => return Err(Rejection::Stale.into()),
                None if is_approval(definition, &stored.instance, &action) => {
                    return Err(Rejection::Field { field: "shown".to_owned() }.into());
                }
                _ => Event::Acted { step, action, actor, fields, shown: now },
            }
        }
    })
}

fn is_approval(definition: &Definition, instance: &Instance, action: &str) -> bool {
    match definition.state(&instance.state).map(|state| &state.kind) {
        Some(Kind::Ask(ask)) => ask.actions.iter().any(|known| known.name.text == action && known.people.is_some()),
        _ => false,
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
