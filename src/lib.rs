//! Sealwright: the portal. See ARCHITECTURE.md for the map.

pub mod activities;
pub mod audit;
pub mod cards;
pub mod clock;
pub mod directory;
pub mod engine;
pub mod fail_point;
pub mod issuance;
pub mod random;
pub mod store;
