//! The driver for tokens of a PKCS#11 module (PKCS#11 v3.1), any vendor's.
//!
//! `quirks` knows how modules differ, `objects` how keys and certificates lie on a token, `driver`
//! does what jobs ask for, `modules` loads modules and finds tokens.

mod driver;
mod modules;
mod objects;
mod quirks;

pub use modules::{ModuleOptions, Tokens};
