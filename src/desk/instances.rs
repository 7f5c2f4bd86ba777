//! Lists of instances and questions, and what is shown beside one instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::rights::{Read, sees_all};
use crate::engine::verbs::Caller;
use crate::engine::{Engine, EngineError};
use crate::store::instances::{self, Filter};
use crate::store::{StoreError, jobs};

pub use crate::store::instances::{HistoryRecord, Listed, Stored};

/// Selection among the instances that the caller may see.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only instances of this workflow.
    pub workflow: Option<String>,
    /// Only what has not ended.
    pub open: bool,
    /// Only what cannot go on by itself, children too.
    pub stuck: bool,
    /// Only questions that wait for the caller's role, children too.
    pub tasks: bool,
}

/// Instances that the caller may see, the newest first, at most `limit`; tasks the oldest first.
///
/// # Errors
/// [`EngineError::Store`].
pub async fn visible(
    engine: &Engine,
    caller: &Caller,
    wanted: Wanted,
    limit: u64,
) -> Result<Arc<[Listed]>, EngineError> {
    let Wanted { workflow, open, stuck, tasks } = wanted;
    let filter = if tasks { engine.tasks_of(caller) } else { Filter::default() };
    let filter = Filter { workflow, only_open: open, only_stuck: stuck, ..filter };
    engine.list(caller, filter, limit).await
}

/// Questions about what is the caller's own.
///
/// # Errors
/// [`EngineError::Store`].
pub async fn questions(engine: &Engine, caller: &Caller, limit: u64) -> Result<Arc<[Listed]>, EngineError> {
    engine.list(caller, engine.questions_of(caller), limit).await
}

/// Questions that wait for the caller's role.
///
/// For a role that no workflow asks, none are looked for.
///
/// # Errors
/// [`EngineError::Store`].
pub async fn tasks(engine: &Engine, caller: &Caller, limit: u64) -> Result<Arc<[Listed]>, EngineError> {
    if !engine.has_tasks(caller) {
        return Ok(Arc::default());
    }
    visible(engine, caller, Wanted { tasks: true, ..Wanted::default() }, limit).await
}

/// Instances that cannot go on by themselves, for roles that see those of others.
///
/// # Errors
/// [`EngineError::Store`].
pub async fn stuck(engine: &Engine, caller: &Caller, limit: u64) -> Result<Arc<[Listed]>, EngineError> {
    if !sees_all(caller, Read::Instances) {
        return Ok(Arc::default());
    }
    visible(engine, caller, Wanted { stuck: true, ..Wanted::default() }, limit).await
}

/// Failure classes of the stuck instances of a list.
///
/// The caller was found to see them.
///
/// # Errors
/// [`StoreError`].
pub async fn stuck_for(engine: &Engine, listed: &[Listed]) -> Result<BTreeMap<Uuid, String>, StoreError> {
    if listed.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = listed.iter().map(|listed| listed.id).collect();
    Ok(instances::stuck_for(engine.store().read(), ids).await?.into_iter().collect())
}

/// The sum of the revisions of a tree: another one whenever the tree changes.
///
/// The caller was found to see the tree.
///
/// # Errors
/// [`StoreError`].
pub async fn revisions(engine: &Engine, root: Uuid) -> Result<i64, StoreError> {
    let tree = instances::outline(engine.store().read(), root).await?;
    Ok(tree.iter().map(|part| part.revision).sum())
}

/// Times at which the card jobs of a tree were queued and ended, in milliseconds.
///
/// The caller was found to see the tree.
///
/// # Errors
/// [`StoreError`].
pub async fn job_times(engine: &Engine, root: Uuid) -> Result<Vec<(i64, Option<i64>)>, StoreError> {
    jobs::times(engine.store().read(), root).await
}

/// A root that the caller holds a pairing with, and everything below it, oldest first.
///
/// # Errors
/// [`EngineError::Store`].
pub async fn tree(engine: &Engine, root: Uuid) -> Result<Vec<Stored>, EngineError> {
    let (tree, _) = instances::tree(engine.store().read(), root).await?;
    Ok(tree)
}

/// The title of an instance's workflow; `None` if there is no such instance.
///
/// The caller holds a pairing with it.
///
/// # Errors
/// [`EngineError::Store`], [`EngineError::Definition`].
pub async fn title(engine: &Engine, id: Uuid) -> Result<Option<String>, EngineError> {
    let Some(stored) = instances::find(engine.store().read(), id).await? else { return Ok(None) };
    let definition = engine.definitions().of(&stored.instance.workflow, stored.instance.version)?;
    Ok(Some(definition.title.clone()))
}
