//! The workflow language: what a definition says, whether it may run, and what one event does to one instance.
//!
//! Pure: no clock, no input or output, no randomness, no async. The engine makes it durable; this package
//! alone decides. A definition goes through three doors, in this order:
//!
//! 1. [`parse`] reads one YAML file into a [`definition::Definition`], with every problem it finds;
//! 2. [`library::Library::load`] links definitions with each other and with the host's [`catalog::Catalog`],
//!    and runs every rule of [`verify`];
//! 3. [`step::step`] takes an instance and an event and gives the next instance and its effects.

pub mod catalog;
pub mod definition;
pub mod diagnostic;
pub mod guard;
pub mod instance;
pub mod library;
pub mod parse;
pub mod render;
pub mod scenario;
pub mod span;
pub mod step;
pub mod types;
pub mod verify;

#[cfg(test)]
mod tests;
