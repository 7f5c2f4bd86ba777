//! Sealwright: the portal. See ARCHITECTURE.md for the map.

pub mod audit;
pub mod clock;
pub mod engine;
pub mod fail_point;
pub mod random;
pub mod store;
