//! Everything that is no page: the JSON API, the agents' channel, and the public PKI files.

pub mod agent;
mod nobody;
pub mod operations;
pub mod public;
pub mod v1;

pub use nobody::nobody_signs_in;
