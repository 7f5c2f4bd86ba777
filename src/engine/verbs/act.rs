//! The verb `act`: takes an action that a state offers, or an operation that is always there.

use std::collections::BTreeSet;

use sealwright_workflow::definition::{Definition, Kind, Party};
use sealwright_workflow::instance::{Actor, Event, Instance};
use sealwright_workflow::step::Rejection;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::caller::Caller;
use super::view::View;
use crate::audit;
use crate::engine::commit::Commit;
use crate::engine::idempotency::Key;
use crate::engine::rights::{Operation, operations, question};
use crate::engine::{Engine, EngineError, dispatch};
use crate::store::instances::Stored;

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
        let refusals = self.refusals();
        Ok(refusals.record(self.store(), caller.origin(), Some(instance.id), now, "action", event).await?)
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
