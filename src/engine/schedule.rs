//! What the clock starts: workflows that say `every`, and attempts that it has put off when it was wrong.

use sealwright_workflow::instance::{Status, Waiting};
use serde_json::Map;
use time::Duration;
use uuid::Uuid;

use super::idempotency::Key;
use super::verbs::Caller;
use super::{Engine, EngineError, dispatch};
use crate::store::instances::{self, Filter, Listed};

impl Engine {
    /// Makes attempts that a wrong clock has put off.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn make_up_attempts(&self) -> Result<(), EngineError> {
        dispatch::make_up_attempts(self).await
    }

    /// Starts what is due: as long after the last one as its `every` says, and when none is under way; one that stands still, also one of whose
    /// parts does, or that cannot be started holds up no other. Of several nodes one starts it.
    pub async fn start_due(&self, clock: &Caller) {
        for definition in self.definitions().all() {
            let Some(every) = definition.start.every else { continue };
            let name = &definition.name.text;
            if let Err(error) = self.start_if_due(clock, name, every).await {
                tracing::error!(workflow = name, %error, "a workflow that is due could not be started");
            }
        }
    }

    async fn start_if_due(&self, clock: &Caller, name: &str, every: Duration) -> Result<(), EngineError> {
        let now = self.clock().now_ms();
        let every = i64::try_from(every.whole_milliseconds()).unwrap_or(i64::MAX).max(1);
        let filter = Filter {
            owner: Some(clock.actor.person.login.clone()),
            workflow: Some(name.to_owned()),
            only_roots: true,
            ..Filter::default()
        };
        let last = instances::list(self.store().read(), &filter, 1).await?.pop();
        // A clock that was set back does not stop it for long.
        let is_over = |since: i64| (now - since).abs() >= every;
        let is_due = match &last {
            None => true,
            Some(last) if !is_over(last.started_at) => false,
            Some(last) => !is_running(last) || (is_over(last.changed_at) && self.waits_for_parts(last.id).await?),
        };
        if is_due {
            // With the last one: the same hour comes again where the clock ran ahead and was set back.
            let key = format!("{name} {} {}", now / every, last.map_or(Uuid::nil(), |last| last.id));
            self.start(clock, name, Map::new(), Some(Key { digest: key.clone(), key })).await?;
        }
        Ok(())
    }

    /// Whether an instance waits for its children: one of them may wait for a key, or for somebody to repair it.
    async fn waits_for_parts(&self, id: Uuid) -> Result<bool, EngineError> {
        let found = instances::find(self.store().read(), id).await?;
        Ok(found.is_some_and(|found| matches!(found.instance.waiting, Waiting::Children(_))))
    }
}

fn is_running(last: &Listed) -> bool {
    last.status == Status::Running
}
