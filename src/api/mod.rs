//! Everything that is no page: the JSON API, the agents' channel, and the public PKI files.

pub mod agent;
pub mod public;
pub mod v1;
