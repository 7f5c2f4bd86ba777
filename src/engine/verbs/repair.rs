//! Many stuck instances at once: the verb `act` for each.

use super::act::Act;
use super::caller::Caller;
use crate::engine::rights::{Operation, may_repair};
use crate::engine::{Engine, EngineError};
use crate::store::instances::{Filter, Listed};

/// How a round of repairs went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Sent on their way again; whether they get further is seen later.
    pub tried: usize,
    /// Refused, or moved on since they were listed.
    pub failed: usize,
}

impl Engine {
    /// Whether the caller may repair an instance of a list.
    pub fn may_repair(&self, caller: &Caller, listed: &Listed) -> bool {
        let definition = self.definitions().of(&listed.workflow, listed.version);
        definition.is_ok_and(|definition| may_repair(&definition, &caller.actor))
    }

    /// Tries again what is stuck and the caller may repair, at most `limit` instances. One that fails does not stop the others.
    ///
    /// # Errors
    /// [`EngineError::Store`] when they cannot be listed.
    pub async fn resume_stuck(&self, caller: &Caller, limit: u64) -> Result<Repaired, EngineError> {
        let filter = Filter { only_stuck: true, ..Filter::default() };
        let mut repaired = Repaired::default();
        for listed in self.look_up(caller, filter, limit).await?.iter() {
            if !self.may_repair(caller, listed) {
                continue;
            }
            let resume = Operation::Resume.as_str().to_owned();
            let act = Act { step: listed.step, action: resume, ..Act::default() };
            match self.act(caller, listed.id, act, None).await {
                Ok(()) => repaired.tried += 1,
                Err(error) => {
                    tracing::warn!(instance = %listed.id, %error, "not tried again");
                    repaired.failed += 1;
                }
            }
        }
        Ok(repaired)
    }
}
