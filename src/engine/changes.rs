//! Who waits for which tree: pages and agents hear of changes of their own tree alone, however many others there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};
use uuid::Uuid;

/// Changes that are kept for whoever tells other nodes of them.
const KEPT: usize = 1024;

/// Everybody who waits for a change. Cheap to clone.
#[derive(Clone)]
pub(super) struct Changes {
    waiting: Arc<Mutex<HashMap<Uuid, Waiting>>>,
    own: broadcast::Sender<Uuid>,
}

/// Those who wait for one tree.
#[derive(Default)]
struct Waiting {
    tell: watch::Sender<()>,
    listeners: usize,
}

impl Changes {
    pub fn new() -> Self {
        Self { waiting: Arc::default(), own: broadcast::Sender::new(KEPT) }
    }

    /// Hears of changes of a tree from now on.
    pub fn listen(&self, root: Uuid) -> Listener {
        let mut trees = self.waiting();
        let waiting = trees.entry(root).or_default();
        waiting.listeners += 1;
        Listener { changes: self.clone(), root, heard: waiting.tell.subscribe() }
    }

    /// This node has changed a tree.
    pub fn announce(&self, root: Uuid) {
        self.pass_on(root);
        // Nobody is told where there is one node.
        let _nobody = self.own.send(root);
    }

    /// Some node has changed a tree.
    pub fn pass_on(&self, root: Uuid) {
        if let Some(waiting) = self.waiting().get(&root) {
            waiting.tell.send_replace(());
        }
    }

    /// The roots of what this node changes.
    pub fn own(&self) -> broadcast::Receiver<Uuid> {
        self.own.subscribe()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears of the changes of one tree.
pub struct Listener {
    changes: Changes,
    root: Uuid,
    heard: watch::Receiver<()>,
}

impl Listener {
    /// Waits until the tree has changed since this was asked last: steps that come in a burst are heard once. Cancel safe.
    pub async fn changed(&mut self) {
        if self.heard.changed().await.is_err() {
            // The sender lives as long as its listeners.
            std::future::pending::<()>().await;
        }
    }

    /// What has changed until now is not heard of any more.
    pub fn forget(&mut self) {
        self.heard.mark_unchanged();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut trees = self.changes.waiting();
        let Some(waiting) = trees.get_mut(&self.root) else { return };
        waiting.listeners -= 1;
        if waiting.listeners == 0 {
            trees.remove(&self.root);
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Listener").field("root", &self.root).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn heard(listener: &mut Listener) -> bool {
        listener.changed().now_or_never().is_some()
    }

    #[test]
    fn one_tree_is_heard_and_a_burst_once() {
        let (changes, root) = (Changes::new(), Uuid::from_u128(1));
        let (mut one, mut other) = (changes.listen(root), changes.listen(root));
        changes.announce(Uuid::from_u128(2));
        assert!(!heard(&mut one));
        changes.announce(root);
        changes.pass_on(root);
        other.forget();
        assert_eq!([heard(&mut one), heard(&mut one), heard(&mut other)], [true, false, false]);
    }

    #[test]
    fn what_happens_between_two_questions_is_heard() {
        let (changes, root) = (Changes::new(), Uuid::from_u128(1));
        let mut listener = changes.listen(root);
        assert!(!heard(&mut listener));
        changes.announce(root);
        assert!(heard(&mut listener));
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_gone() {
        let (changes, root) = (Changes::new(), Uuid::from_u128(1));
        let (one, other) = (changes.listen(root), changes.listen(root));
        drop(one);
        assert_eq!(changes.waiting().len(), 1);
        drop(other);
        assert!(changes.waiting().is_empty());
    }
}
