//! The verb `start`: begins a tree, and tells which one is open already.

use std::sync::Arc;

use sealwright_workflow::definition::Definition;
use sealwright_workflow::step::Begin;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::caller::Caller;
use crate::engine::arguments::{checked_arguments, find_subject, read_subject};
use crate::engine::commit::Commit;
use crate::engine::idempotency::Key;
use crate::engine::rights::may_start;
use crate::engine::{Engine, EngineError, dispatch};
use crate::store::{StoreError, Tx, instances};
use crate::{audit, random};

/// A start as it is shown before anything is begun.
#[derive(Clone, Debug)]
pub struct StartForm {
    pub definition: Arc<Definition>,
    /// The field with the subject, and its record.
    pub subject: Option<(String, Value)>,
    /// The open instance that the start would give.
    pub open: Option<Uuid>,
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
        let arguments = checked_arguments(&definition, arguments)?;
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
        let arguments = checked_arguments(&definition, arguments)?;
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
            let now = self.clock().now_ms();
            self.refusals().record(self.store(), caller.origin(), None, now, "start", event).await?;
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

    /// What a person sees before a start: its form, what it is about, and what is open already. Nothing is changed.
    ///
    /// # Errors
    /// As at the start: [`EngineError::NotFound`] for a workflow or a subject that is not the caller's to start with, [`EngineError::Forbidden`].
    pub async fn form(&self, caller: &Caller, workflow: &str, subject: Option<Uuid>) -> Result<StartForm, EngineError> {
        let definition = self.startable(caller, workflow).await?;
        let Some(field) = &definition.start.subject else {
            if subject.is_some() {
                return Err(EngineError::NotFound);
            }
            let open = self.held(caller, workflow).await?;
            return Ok(StartForm { definition, subject: None, open });
        };
        let id = subject.ok_or(EngineError::NotFound)?;
        let subject = read_subject(self, &definition, id, &caller.actor).await?;
        let open = match definition.holds.iter().any(|held| held.text == field.text) {
            true => instances::holder(self.store().read(), &field.text, &id.to_string()).await?,
            false => None,
        };
        Ok(StartForm { definition, subject, open })
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
}
