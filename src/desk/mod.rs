//! Read models of all surfaces, each with its right.
//!
//! [`rights`] declares the roles that see what is others'. Of instances, a role sees those of the workflows that name it in
//! their `see`; the engine's verb `list` enforces that.

pub mod cards;
pub mod certificates;
pub mod figures;
pub mod instances;
pub mod jobs;
pub mod revocation_lists;
pub mod rights;
