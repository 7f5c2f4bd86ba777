//! Who somebody is and in which role: the proxy's header and what proves it, role handlers, sessions.

mod assertion;
mod command;
pub mod header;
mod identity;
pub mod mutual_tls;
pub mod roles;
pub mod service_accounts;
pub mod sessions;

pub use identity::Identities;
pub use roles::{Grant, Recheck, RoleError, RoleOptions, Roles};
