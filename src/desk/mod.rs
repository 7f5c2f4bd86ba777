//! Read models with rights of their own: what pages and API show, as the caller may see it.
//!
//! [`rights`] declares which role sees what is others'. The instances of a role are those that the workflows' `see` names.

pub mod cards;
pub mod certificates;
pub mod instances;
pub mod rights;
