//! The in-process tier: a whole portal without its servers, a simulated directory, agent and card, and a clock that the
//! test moves. A node is killed by dropping its runtime with everything in memory; a new one opens the same database.
//!
//! - [`node`] is a portal's engine and rooms, with fail points of its own.
//! - [`card`] is a card that keeps keys in memory, and the agent that does the portal's jobs with it.
//! - [`pages`] is a browser without scripts, which asks the pages' handlers.
//! - [`trial`] runs one activity or card job through its three tests: succeeds twice with one effect, fails and unwinds, is
//!   killed at each fail point and goes on.

mod approvals;
pub mod card;
pub mod clock;
mod directory;
mod directory_away;
pub mod node;
pub mod pages;
mod pairings;
mod starts;
mod tests;
pub mod trial;
mod two_at_once;

pub use node::World;
