//! The four verbs of pages and API: start, act, view, list. Nothing else changes an instance from outside.

mod act;
mod caller;
mod list;
mod repair;
mod start;
mod view;

pub use act::Act;
pub use caller::Caller;
pub use repair::Repaired;
pub use start::StartForm;
pub use view::{View, causes, reasons};
