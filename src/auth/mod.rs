//! Who somebody is and in which role: the proxy's header, role handlers, sessions.

mod command;
pub mod header;
pub mod roles;
pub mod sessions;

pub use roles::{Recheck, RoleOptions, Roles};
