//! Card jobs, as the agent that holds a pairing sees them.

use super::instances::Listed;
use crate::engine::{Engine, EngineError};
use crate::store::jobs::{self, Holder};

pub use crate::store::jobs::{JobRecord, Queued};

/// The root that an agent works for, what is open below it, and the jobs queued for the agent.
///
/// Both lists are oldest first.
///
/// # Errors
/// [`EngineError::Store`].
pub async fn outlook(engine: &Engine, agent: Holder) -> Result<(Vec<Listed>, Vec<Queued>), EngineError> {
    Ok(jobs::outlook(engine.store().read(), agent).await?)
}
