//! YAML as nodes with positions. Scalars keep their text: `2d`, `on` and `017` mean here what they say.
//!
//! No anchors, aliases, tags or merge keys, and a bound on size and depth: a definition is read by people.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::RULE;
use crate::diagnostic::{Position, Report};

/// The largest file in bytes.
pub const MAXIMUM_SIZE: usize = 256 * 1024;
const MAXIMUM_DEPTH: usize = 16;

#[derive(Clone, Debug)]
pub struct Node {
    pub at: Position,
    pub kind: NodeKind,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    /// The text, and whether it stood without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub fn what(&self) -> &'static str {
        match self.kind {
            NodeKind::Scalar { .. } => "a word or text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a mapping",
        }
    }
}

/// An open list or mapping while reading.
struct Open {
    at: Position,
    map: bool,
    nodes: Vec<Node>,
}

/// Reads the one document of a file; `None` after reporting why not.
pub fn read(source: &str, report: &mut Report) -> Option<Node> {
    if source.len() > MAXIMUM_SIZE {
        report.add(Position { line: 1, column: 1 }, RULE, "the file is larger than 256 KiB");
        return None;
    }
    let mut open: Vec<Open> = Vec::new();
    let mut document = None;
    let mut parser = Parser::new_from_str(source);
    while let Some(item) = parser.next_event() {
        let (event, span) = match item {
            Ok(item) => item,
            Err(error) => {
                report.add(position(error.marker()), RULE, error.info());
                return None;
            }
        };
        let at = position(&span.start);
        let node = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if anchor > 0 || tag.is_some() {
                    report.add(at, RULE, "anchors and tags are not part of the language");
                    return None;
                }
                let plain = style == ScalarStyle::Plain;
                Node { at, kind: NodeKind::Scalar { text: text.into_owned(), plain } }
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) if anchor > 0 || tag.is_some() => {
                report.add(at, RULE, "anchors and tags are not part of the language");
                return None;
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() == MAXIMUM_DEPTH {
                    report.add(at, RULE, "nested too deeply");
                    return None;
                }
                open.push(Open { at, map: matches!(event, Event::MappingStart(..)), nodes: Vec::new() });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => close(open.pop()?, report),
            Event::Alias(_) => {
                report.add(at, RULE, "aliases are not part of the language");
                return None;
            }
            Event::DocumentStart(_) if document.is_some() => {
                report.add(at, RULE, "a file holds one workflow; this is a second document");
                return None;
            }
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.nodes.push(node),
            None => document = Some(node),
        }
    }
    if document.is_none() && report.is_empty() {
        report.add(Position { line: 1, column: 1 }, RULE, "the file is empty");
    }
    document
}

fn close(open: Open, report: &mut Report) -> Node {
    if !open.map {
        return Node { at: open.at, kind: NodeKind::List(open.nodes) };
    }
    let mut pairs: Vec<(Node, Node)> = Vec::with_capacity(open.nodes.len() / 2);
    let mut nodes = open.nodes.into_iter();
    while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
        if let NodeKind::Scalar { text, .. } = &key.kind {
            let twice = pairs
                .iter()
                .any(|(other, _)| matches!(&other.kind, NodeKind::Scalar { text: seen, .. } if seen == text));
            if twice {
                report.add(key.at, RULE, format!("`{text}` stands here twice"));
            }
        } else {
            report.add(key.at, RULE, "a key must be a word");
        }
        pairs.push((key, value));
    }
    Node { at: open.at, kind: NodeKind::Map(pairs) }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}
