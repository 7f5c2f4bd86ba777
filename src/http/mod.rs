//! Shared parts of the HTTP surfaces.
//!
//! Failures and their faces, sign-in and forms as extractors, the deadline of bodies, the request's id, origin and log line, the refusal of identity
//! headers.

mod bodies;
mod failure;
mod identity_headers;
pub mod observe;
mod submitted;
mod visitor;

pub use bodies::{end_slow_bodies, is_incomplete, unreadable_form};
pub use failure::{Face, Failure};
pub use identity_headers::reject_identity_headers;
pub use submitted::{SessionForm, Submitted};
pub use visitor::{COOKIE, Visitor};
