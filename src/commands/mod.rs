//! The commands of the program, one a file, and what `serve` does by the clock.

pub mod audit;
pub mod backup;
pub mod ca;
pub mod check;
pub mod check_configuration;
mod housekeeping;
pub mod serve;
pub mod service_account;
