//! What every HTTP surface needs: the request's id, origin and log line, and the refusal of identity headers.

mod identity_headers;
pub mod observe;

pub use identity_headers::reject_identity_headers;
