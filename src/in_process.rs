//! Fail points of a node that lives inside a test's process.
//!
//! The node has a Tokio runtime of its own, whose threads carry its [`FailPoints`]. At the armed place the future never
//! goes on; the test is told, and drops the runtime with everything in memory, as `kill -9` does with a process.
//! [`crate::fail_point`] ends or stops a whole process instead.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

thread_local! {
    static ON_THIS_THREAD: RefCell<Option<Arc<FailPoints>>> = const { RefCell::new(None) };
}

/// Called once when the armed place is reached.
type OnKill = Box<dyn Fn() + Send + Sync>;

/// The places that one node passes, and the one that it does not survive.
pub struct FailPoints {
    state: Mutex<State>,
    on_kill: OnKill,
}

#[derive(Default)]
struct State {
    armed: Option<(&'static str, usize)>,
    passed: Vec<&'static str>,
    is_recording: bool,
    is_dead: bool,
}

impl FailPoints {
    pub fn new(on_kill: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), on_kill: Box::new(on_kill) })
    }

    /// Makes a thread of the node's runtime carry these fail points: for `on_thread_start`.
    pub fn carry(self: &Arc<Self>) {
        ON_THIS_THREAD.set(Some(self.clone()));
    }

    /// Begins to record places, and kills the node when it passes `place`, by name and by how often it has passed it.
    pub fn arm(&self, place: Option<(&'static str, usize)>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { armed: place, is_recording: true, ..State::default() };
    }

    /// Takes the armed place away; tells whether the node has ended there.
    pub fn disarm(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.armed = None;
        state.is_dead
    }

    /// The places that were passed since [`FailPoints::arm`], in order.
    pub fn passed(&self) -> Vec<&'static str> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).passed.clone()
    }

    /// Records a place; tells whether the node ends here, as it also does everywhere once it is dead.
    fn ends_at(&self, name: &'static str) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_dead {
            return true;
        }
        if !state.is_recording {
            return false;
        }

        state.passed.push(name);
        let times = state.passed.iter().filter(|passed| **passed == name).count();
        state.is_dead = state.armed == Some((name, times));
        let is_dead = state.is_dead;
        drop(state);

        if is_dead {
            (self.on_kill)();
        }
        is_dead
    }
}

/// A place in asynchronous code: of the node that this thread belongs to, or else of the whole process.
pub async fn reached(name: &'static str) {
    let points = ON_THIS_THREAD.with_borrow(Clone::clone);
    match points {
        Some(points) if points.ends_at(name) => std::future::pending().await,
        Some(_) => {}
        #[cfg(feature = "fail-points")]
        None => crate::fail_point::reached(name),
        #[cfg(not(feature = "fail-points"))]
        None => {}
    }
}
