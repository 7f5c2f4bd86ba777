//! What every HTTP surface needs: failures and their faces, the request's id, origin and log line, the refusal of
//! identity headers.

mod failure;
mod identity_headers;
pub mod observe;

pub use failure::{Face, Failure};
pub use identity_headers::reject_identity_headers;
