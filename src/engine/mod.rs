//! Makes the workflow language durable: one transaction a step, leases, timers, children, jobs for the agent.
//!
//! - [`verbs`] is the door for pages and API: start, act, view, list. [`rights`] says who may.
//! - `commit` applies one event and everything that follows from it inside one transaction.
//! - `dispatch` runs planned activities, fires timers, reads inboxes and looks at conditions.
//! - [`contract`] is what an activity or a card job implements.
//! - [`reports`] takes what the agent says about jobs.

mod arguments;
mod changes;
mod commit;
mod conditions;
pub mod contract;
mod definitions;
mod dispatch;
mod events;
mod failure;
pub mod idempotency;
mod identity;
mod loaded;
pub mod registry;
pub mod reports;
pub mod rights;
mod schedule;
mod undo;
pub mod verbs;
mod wakes;

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::instance::{Actor, Event};
use sealwright_workflow::library::Library;
use sealwright_workflow::step::Rejection;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::audit::Refusals;
use crate::clock::Clock;
use crate::engine::contract::{Failure, FailureClass};
use crate::store::instances::{Filter, Listed};
use crate::store::{ReadCache, Store, StoreError, WriteError};

use changes::Changes;
pub use changes::Listener;
use conditions::Conditions;
pub use definitions::Definitions;
pub use failure::in_words;
pub use identity::{IdentityResolver, IdentityUnavailable};
pub use registry::Registry;
use undo::Failures;

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// There is no such instance, or this person may not see it: the two look alike from outside.
    #[error("there is no such instance")]
    NotFound,
    #[error("this role may not start this")]
    Forbidden,
    /// Another open instance holds the same person or card.
    #[error("another instance holds the same")]
    Held(Uuid),
    /// A lease or an agent's session is over; somebody else has the work.
    #[error("the work belongs to somebody else now")]
    Fenced,
    /// A report of another kind than the job asks for.
    #[error("the report does not answer the job")]
    Unfit,
    /// An activity or a card job failed.
    #[error("an activity failed: {0}")]
    Activity(FailureClass),
    /// A plan or a record failed after it may have written: the transaction is rolled back, and run again with the failure.
    #[error("the step is undone")]
    Undone { instance: Uuid, event: Box<Event> },
    /// What is stored and what this program knows do not fit: another release has written it, or it was edited.
    #[error("the engine finds what does not fit: {0}")]
    Inconsistent(&'static str),
    /// An idempotency key was used before, with another request.
    #[error("the key was used for another request")]
    KeyReused,
    #[error(transparent)]
    IdentityUnavailable(#[from] IdentityUnavailable),
    #[error("the definition {name} version {version} is not there")]
    Definition { name: String, version: u32 },
    /// A workflow's file was changed and its version was not.
    #[error("the workflow {name} version {version} was released with another text: give this one a new version")]
    Released { name: String, version: u32 },
}

impl WriteError for EngineError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => Self::Store(error),
            Failure::Retry(class) | Failure::Fail(class) => Self::Activity(class),
        }
    }
}

/// The engine of one node. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    /// The failures that the present transaction was rolled back for.
    failures: Failures,
}

struct Inner {
    store: Store,
    definitions: Definitions,
    registry: Registry,
    conditions: Conditions,
    identities: Arc<dyn IdentityResolver>,
    policy: BTreeMap<String, Value>,
    clock: Arc<dyn Clock>,
    refusals: Refusals,
    /// This node, as leases name it.
    node: String,
    changes: Changes,
    look: Notify,
    /// What pages show again and again: lists, and who has something open.
    lists: ReadCache<(Actor, Filter, u64), Arc<[Listed]>>,
    holders: ReadCache<String, Option<Uuid>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// How many lists are kept, for a second.
const LISTS: u64 = 256;
/// How many people's open instances are kept, for a second.
const HOLDERS: u64 = 4096;

/// What an engine is made of.
pub struct Parts {
    pub store: Store,
    pub library: Library,
    /// The text of each file of the library, by workflow.
    pub sources: BTreeMap<String, String>,
    /// What workflows may name, to verify stored versions.
    pub catalog: Catalog,
    pub registry: Registry,
    pub identities: Arc<dyn IdentityResolver>,
    pub policy: BTreeMap<String, Value>,
    pub clock: Arc<dyn Clock>,
    pub node: String,
    pub refusals: Refusals,
}

impl Engine {
    /// Stores the definitions and starts nothing yet; [`Engine::run`] does.
    ///
    /// # Errors
    /// [`EngineError::Released`] when a released version was changed.
    pub async fn new(parts: Parts) -> Result<Self, EngineError> {
        let now = parts.clock.now_ms();
        let definitions = Definitions::release(&parts.store, parts.library, parts.sources, &parts.catalog, now).await?;
        let inner = Inner {
            lists: ReadCache::new(&parts.store, LISTS),
            holders: ReadCache::new(&parts.store, HOLDERS),
            store: parts.store,
            definitions,
            registry: parts.registry,
            conditions: Conditions::default(),
            identities: parts.identities,
            policy: parts.policy,
            clock: parts.clock,
            refusals: parts.refusals,
            node: parts.node,
            changes: Changes::new(),
            look: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        Ok(Self { inner: Arc::new(inner), failures: Failures::default() })
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    fn refusals(&self) -> &Refusals {
        &self.inner.refusals
    }

    pub fn definitions(&self) -> &Definitions {
        &self.inner.definitions
    }

    pub fn node(&self) -> &str {
        &self.inner.node
    }

    /// Told of every change of a tree, on whatever node.
    pub fn listen(&self, root: Uuid) -> Listener {
        self.inner.changes.listen(root)
    }

    /// Tells pages and agents of a change that is no step: a pairing was redeemed or confirmed.
    pub fn announce(&self, root: Uuid) {
        self.inner.changes.announce(root);
    }

    /// Runs until [`Engine::stop`]; then waits for the activities under way.
    pub async fn run(&self) {
        tokio::join!(dispatch::run(self), wakes::run(self));
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Runs something to its end, whoever begins it: a server's thread may end before. [`Engine::run`] waits for it.
    fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) {
        self.inner.tasks.spawn_on(task, self.store().runtime().tokio());
    }

    /// Looks for work now: the clock of a test has moved.
    #[cfg(test)]
    pub(crate) fn wake(&self) {
        self.inner.look.notify_one();
    }

    pub fn stop(&self) {
        self.inner.stop.cancel();
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine").field("node", &self.inner.node).finish_non_exhaustive()
    }
}
