//! Tests through the public door, with real parts. The tree mirrors `src`.

mod architecture;
mod audit_chain;
mod database;
mod directory_server;
mod journey;
mod pages;
mod scenarios;
mod sign_in;
mod support;
