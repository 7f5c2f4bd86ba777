//! Tests through the public door, with real parts. The tree mirrors `src`.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod api;
mod api_programs;
mod architecture;
mod audit_chain;
mod check;
mod connections;
mod database;
mod demo;
mod directory_server;
mod hsm;
mod import_circles;
mod journey;
mod matrix;
mod operations;
mod package;
mod pages;
mod proxies;
mod roles;
mod scenarios;
mod sign_in;
mod support;
mod upgrade;
mod versions;
