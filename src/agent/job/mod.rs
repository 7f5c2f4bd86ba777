//! The parts that every job has: its context, its failures and its durable progress.

mod context;
mod failure;
mod progress;

pub use context::JobContext;
pub use failure::{JobFailure, refusal};
pub use progress::{Progress, ProgressLog};
