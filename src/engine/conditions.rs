//! Conditions of the world, asked beside the engine's loop: one that takes its time to answer holds up nothing else.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::store::watches::WatchRecord;

/// An answer is good for so long.
const GOOD: Duration = Duration::from_secs(1);

/// The latest answers, by condition and its subject.
#[derive(Default)]
pub(super) struct Conditions {
    asked: Mutex<BTreeMap<(String, Option<String>), Asked>>,
}

enum Asked {
    /// Somebody is asking now.
    Now,
    Answered {
        holds: bool,
        at: Instant,
    },
}

impl Conditions {
    /// Whether a condition holds, by an answer that is still good; else it is asked, and the engine looks again when it holds.
    pub fn holds(&self, engine: &Engine, watch: &WatchRecord) -> bool {
        let Some(condition) = engine.inner.registry.condition(&watch.condition).cloned() else { return false };
        let Ok(mut asked) = self.asked.lock() else { return false };
        let key = (watch.condition.clone(), watch.about.clone());
        match asked.get(&key) {
            Some(Asked::Now) => return false,
            Some(Asked::Answered { holds, at }) if at.elapsed() < GOOD => return *holds,
            _ => {}
        }
        // One question, however many wait for the answer.
        asked.insert(key.clone(), Asked::Now);
        let asking = engine.clone();
        engine.spawn(async move {
            let holds = condition.holds(key.1.as_deref()).await;
            if let Ok(mut asked) = asking.inner.conditions.asked.lock() {
                asked.insert(key, Asked::Answered { holds, at: Instant::now() });
            }
            if holds {
                asking.inner.look.notify_one();
            }
        });
        false
    }
}
