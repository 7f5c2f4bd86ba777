//! The commands of the program, one a file.

pub mod cards;
pub mod connect;
pub mod run;
