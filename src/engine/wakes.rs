//! What nodes tell each other: which trees have changed, so that pages, agents and engines of other nodes look at once instead of at
//! their next turn.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::Engine;
use crate::store::{Access, Listener};

/// A change is told at once; those within this time after it are told together.
const COALESCE: Duration = Duration::from_millis(25);
/// Roots in one message, well under PostgreSQL's limit of 8000 bytes.
const MOST: usize = 150;
/// How long to wait before a database that is not there is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells and hears until the engine is stopped. Returns at once where there is one node.
pub(super) async fn run(engine: &Engine) {
    let stop = engine.inner.stop.clone();
    loop {
        let listening = tokio::select! {
            () = stop.cancelled() => return,
            listening = engine.store().listen() => listening,
        };
        match listening {
            Ok(None) => return,
            Ok(Some(listener)) => {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tell(engine) => return,
                    () = hear(engine, listener) => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "other nodes cannot be heard");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
}

async fn tell(engine: &Engine) {
    let mut own = engine.inner.changes.own();
    loop {
        let mut roots = BTreeSet::new();
        match own.recv().await {
            Ok(root) => roots.insert(root),
            // What was missed is found at the next turn of whoever waits for it.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        while let Ok(root) = own.try_recv() {
            roots.insert(root);
        }
        let roots: Vec<Uuid> = roots.into_iter().collect();
        for part in roots.chunks(MOST) {
            let names: Vec<String> = part.iter().map(Uuid::to_string).collect();
            let words = format!("{} {} {}", engine.store().read().tenant(), engine.node(), names.join(" "));
            if let Err(error) = engine.store().notify(&words).await {
                tracing::warn!(%error, "other nodes could not be told of a change");
            }
        }
        tokio::time::sleep(COALESCE).await;
    }
}

/// Ends when the database cannot be heard any more.
async fn hear(engine: &Engine, mut listener: Listener) {
    loop {
        match listener.hear().await {
            Ok(words) => pass_on(engine, &words),
            Err(error) => {
                tracing::warn!(%error, "other nodes cannot be heard");
                return;
            }
        }
    }
}

fn pass_on(engine: &Engine, words: &str) {
    let mut words = words.split(' ');
    let (tenant, node) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if tenant != engine.store().read().tenant() || node == engine.node() {
        return;
    }
    for root in words.filter_map(|word| word.parse().ok()) {
        engine.inner.changes.pass_on(root);
    }
    engine.inner.look.notify_one();
}
