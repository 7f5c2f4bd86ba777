//! The picture of a workflow: where each state stands and which ways lead between them.
//!
//! States stand below each other in the order of the file; ends that are no success stand to the right of the first state
//! that leads there. The page draws it as SVG; nothing here knows of colours.

use std::collections::BTreeSet;

use crate::definition::{Definition, EndOutcome, Kind};

/// Width and height of a state's box, and the gaps between boxes, in the picture's units.
pub const BOX: (u32, u32) = (220, 44);
const GAP: (u32, u32) = (140, 30);
const MARGIN: u32 = 60;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagram {
    pub width: u32,
    pub height: u32,
    pub nodes: Vec<DiagramNode>,
    pub edges: Vec<Edge>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagramNode {
    pub state: String,
    pub label: String,
    /// The kind's word: `ask`, `do`, …, or for ends `success`, `failure`, `cancelled`.
    pub kind: &'static str,
    pub x: u32,
    pub y: u32,
    pub entered: bool,
    pub current: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub from: String,
    pub to: String,
    /// An SVG path.
    pub path: String,
    pub taken: bool,
}

/// Draws a definition with the way an instance took, given as the states it entered in order.
pub fn diagram(definition: &Definition, way: &[String]) -> Diagram {
    let mut nodes = Vec::new();
    let mut row = 0;
    let mut side_rows: BTreeSet<u32> = BTreeSet::new();
    for state in &definition.states {
        let (kind, aside) = match &state.kind {
            Kind::End(end) => (end.outcome.as_str(), end.outcome != EndOutcome::Success),
            other => (other.word(), false),
        };
        let (column, at) = if aside {
            let wanted = nodes_row(definition, &state.name.text, &nodes).unwrap_or(row);
            let free = (wanted..).find(|row| !side_rows.contains(row)).unwrap_or(wanted);
            side_rows.insert(free);
            (1, free)
        } else {
            row += 1;
            (0, row - 1)
        };
        nodes.push(DiagramNode {
            state: state.name.text.clone(),
            label: state.label.clone(),
            kind,
            x: MARGIN + column * (BOX.0 + GAP.0),
            y: MARGIN / 2 + at * (BOX.1 + GAP.1),
            entered: way.contains(&state.name.text),
            current: way.last() == Some(&state.name.text),
        });
    }
    let edges = edges(definition, &nodes, way);
    let width = nodes.iter().map(|node| node.x).max().unwrap_or(0) + BOX.0 + MARGIN;
    let height = nodes.iter().map(|node| node.y).max().unwrap_or(0) + BOX.1 + MARGIN / 2;
    Diagram { width, height, nodes, edges }
}

/// The row of the first placed state that leads to `name`.
fn nodes_row(definition: &Definition, name: &str, nodes: &[DiagramNode]) -> Option<u32> {
    let before =
        definition.states.iter().find(|state| state.targets().into_iter().any(|target| target.text == name))?;
    let node = nodes.iter().find(|node| node.state == before.name.text)?;
    Some((node.y - MARGIN / 2) / (BOX.1 + GAP.1))
}

fn edges(definition: &Definition, nodes: &[DiagramNode], way: &[String]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for state in &definition.states {
        let mut seen = BTreeSet::new();
        for target in state.targets() {
            if !seen.insert(target.text.clone()) {
                continue;
            }
            let from = nodes.iter().find(|node| node.state == state.name.text);
            let to = nodes.iter().find(|node| node.state == target.text);
            if let (Some(from), Some(to)) = (from, to) {
                let taken = way.windows(2).any(|pair| matches!(pair, [a, b] if *a == from.state && *b == to.state));
                edges.push(Edge { from: from.state.clone(), to: to.state.clone(), path: path(from, to), taken });
            }
        }
    }
    edges
}

fn path(from: &DiagramNode, to: &DiagramNode) -> String {
    let (half_width, half_height) = (BOX.0 / 2, BOX.1 / 2);
    if from.x != to.x {
        let (x1, y1) = (from.x + BOX.0, from.y + half_height);
        let (x2, y2) = (to.x, to.y + half_height);
        let middle = x1 + (x2.saturating_sub(x1)) / 2;
        return format!("M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}");
    }
    let below = from.y + BOX.1 + GAP.1;
    if to.y == below {
        let x = from.x + half_width;
        return format!("M{x} {} L{x} {}", from.y + BOX.1, to.y);
    }
    // A longer way swings out to the left, further for a longer one.
    let (y1, y2) = (from.y + half_height, to.y + half_height);
    let swing = from.x.saturating_sub(12 + y1.abs_diff(y2) / 12).max(4);
    format!("M{} {y1} C{swing} {y1} {swing} {y2} {} {y2}", from.x, to.x)
}
