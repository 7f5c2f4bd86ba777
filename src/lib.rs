//! Sealwright: the portal. See ARCHITECTURE.md for the map.

pub mod activities;
pub mod agents;
pub mod api;
pub mod audit;
pub mod auth;
pub mod cards;
pub mod clock;
pub mod commands;
pub mod config;
pub mod desk;
pub mod directory;
pub mod engine;
pub mod fail_point;
pub mod hsm;
pub mod http;
#[cfg(any(test, feature = "fail-points"))]
pub mod in_process;
pub mod issuance;
pub mod operations;
pub mod portal;
pub mod public;
pub mod random;
pub mod store;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod web;
