//! The commands of the program, one a file.

pub mod audit;
pub mod backup;
pub mod ca;
pub mod check;
pub mod demo;
pub mod reach;
pub mod serve;
pub mod service_account;
