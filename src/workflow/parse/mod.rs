//! From one YAML file to a [`Definition`], with every problem of the file in one go.
//!
//! `tree` reads YAML into nodes with positions; `entries` reads a mapping by its keys; the other files read the
//! parts of a definition. Nothing here knows what an activity is: linking does that.

mod data;
mod entries;
mod head;
mod next;
mod state;
mod tree;
mod words;

use crate::definition::Definition;
use crate::diagnostic::{Diagnostic, Report};

pub use tree::{MAXIMUM_SIZE, Node, NodeKind, read as read_tree};

/// The rule name of everything found while reading.
pub const RULE: &str = "syntax";

/// Reads a file's text.
///
/// # Errors
/// Every [`Diagnostic`] of the file, in the order of its lines.
pub fn parse(file: &str, source: &str) -> Result<Definition, Vec<Diagnostic>> {
    let mut report = Report::new(file);
    let definition = tree::read(source, &mut report).and_then(|node| head::read(file, &node, &mut report));
    match definition {
        Some(definition) if report.is_empty() => Ok(definition),
        _ => Err(report.into_diagnostics()),
    }
}

pub(crate) use entries::Entries;
