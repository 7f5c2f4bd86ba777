//! Read models with rights of their own: what pages and API show, as the caller may see it.
//!
//! [`rights`] declares which role sees what is others'. The instances of a role are those that the workflows' `see` names.

pub mod cards;
pub mod certificates;
pub mod figures;
pub mod instances;
pub mod jobs;
pub mod revocation_lists;
pub mod rights;
