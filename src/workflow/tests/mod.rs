//! The verifier's fixtures and the properties of the step function.

mod begin;
mod catalog;
mod fixtures;
mod forks;
mod people;
mod properties;
mod released;
mod retries;
