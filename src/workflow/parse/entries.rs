//! A mapping read key by key: what is missing, what is unknown, what has the wrong shape.

use super::RULE;
use super::tree::{Node, NodeKind};
use crate::definition::Word;
use crate::diagnostic::{Position, Report, nearest};

/// The entries of one mapping. Every key the reader asks for is known; [`Entries::finish`] reports the others.
pub(crate) struct Entries<'a> {
    pub at: Position,
    pairs: Vec<(&'a str, Position, &'a Node)>,
    known: Vec<&'static str>,
}

impl<'a> Entries<'a> {
    /// Reads a mapping; reports anything else.
    pub fn new(node: &'a Node, what: &str, report: &mut Report) -> Option<Self> {
        let NodeKind::Map(pairs) = &node.kind else {
            report.add(node.at, RULE, format!("{what} must be a mapping, this is {}", node.what()));
            return None;
        };
        let pairs = pairs
            .iter()
            .filter_map(|(key, value)| match &key.kind {
                NodeKind::Scalar { text, .. } => Some((text.as_str(), key.at, value)),
                _ => None,
            })
            .collect();
        Some(Self { at: node.at, pairs, known: Vec::new() })
    }

    pub fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.pairs.iter().find(|(name, ..)| *name == key).map(|(_, _, value)| *value)
    }

    pub fn require(&mut self, key: &'static str, report: &mut Report) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            report.add(self.at, RULE, format!("`{key}` is missing"));
        }
        found
    }

    /// The key and position of the first entry.
    pub fn first(&self) -> Option<(&'a str, Position)> {
        self.pairs.first().map(|(key, at, _)| (*key, *at))
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self, report: &mut Report) {
        for (key, at, _) in &self.pairs {
            if !self.known.contains(key) {
                let message = format!("`{key}` is not known here");
                match nearest(key, self.known.iter().copied()) {
                    Some(hint) => report.add_with_hint(*at, RULE, message, hint),
                    None => {
                        let hint = format!("known here: {}", self.known.join(", "));
                        report.add_with_hint(*at, RULE, message, hint);
                    }
                }
            }
        }
    }

    /// All entries as words and nodes, for mappings whose keys are the author's.
    pub fn all(&self) -> impl Iterator<Item = (Word, &'a Node)> {
        self.pairs.iter().map(|(key, at, value)| (Word { text: (*key).to_owned(), at: *at }, *value))
    }
}
