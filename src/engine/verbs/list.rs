//! The verb `list`: instances and questions that a caller may see.

use std::sync::Arc;

use sealwright_workflow::step::About;

use super::caller::Caller;
use crate::engine::rights::{asks, may_answer, may_see, sees_others};
use crate::engine::{Engine, EngineError};
use crate::store::instances::{self, Filter, Listed, VisibleTo};

impl Engine {
    /// Whether questions may wait for the caller's role at all.
    pub fn has_tasks(&self, caller: &Caller) -> bool {
        self.definitions().all().any(|definition| asks(definition, &caller.actor))
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

    /// The same from the database, whatever was listed a moment ago.
    pub(super) async fn look_up(
        &self,
        caller: &Caller,
        mut filter: Filter,
        limit: u64,
    ) -> Result<Arc<[Listed]>, EngineError> {
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
                self.definitions().of(&listed.workflow, listed.version).is_ok_and(|definition| {
                    let about = About { owner: &listed.owner, requester: &listed.requester };
                    let is_theirs = !only_questions || may_answer(&definition, &listed.state, about, &caller.actor);
                    is_theirs && may_see(&definition, about, &caller.actor)
                })
            })
            .collect())
    }
}
