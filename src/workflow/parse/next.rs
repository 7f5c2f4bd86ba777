//! What follows: outcomes, what is kept, targets and guards.

use std::collections::BTreeMap;

use super::Entries;
use super::tree::{Node, NodeKind};
use super::{RULE, words};
use crate::definition::{Argument, ArgumentValue, Mark, Next, Outcomes, Path, Target, Word};
use crate::diagnostic::Report;
use crate::guard::{self, Guard};

/// `next: { found: …, otherwise: … }`.
pub fn outcomes(node: &Node, report: &mut Report) -> Option<Outcomes> {
    let entries = Entries::new(node, "`next`", report)?;
    let mut outcomes = Outcomes::default();
    for (name, node) in entries.all() {
        let Some(next) = next(node, report) else { continue };
        if name.text == "otherwise" {
            outcomes.otherwise = Some(next);
        } else if words::is_kebab(&name, "the outcome", report) {
            outcomes.named.push((name, next));
        }
    }
    Some(outcomes)
}

/// A state's name, or a mapping with `keep`, `holds` and `to`.
pub fn next(node: &Node, report: &mut Report) -> Option<Next> {
    if let NodeKind::Scalar { .. } = node.kind {
        let to = words::kebab(node, "a state", report)?;
        let to = Target { guards: Vec::new(), otherwise: to };
        return Some(Next { at: node.at, keep: Vec::new(), holds: None, to, say: None, mark: None });
    }
    let mut entries = Entries::new(node, "what follows an outcome", report)?;
    let keep = entries.get("keep").map(|node| keep(node, report)).unwrap_or_default();
    let holds = entries.get("holds").and_then(|node| words::word(node, "`holds`", report));
    let say = entries.get("say").and_then(|node| words::plain_text(node, "`say`", report));
    let mark = entries.get("mark").and_then(|node| mark(node, report));
    let to = entries.require("to", report).and_then(|node| target(node, report));
    entries.finish(report);
    Some(Next { at: node.at, keep, holds, to: to?, say, mark })
}

pub fn mark(node: &Node, report: &mut Report) -> Option<Mark> {
    let word = words::word(node, "`mark`", report)?;
    let mark = match word.text.as_str() {
        "undone" => Some(Mark::Undone),
        "failed" => Some(Mark::Failed),
        _ => None,
    };
    if mark.is_none() {
        let message = format!("there is no mark `{}`", word.text);
        report.add_with_hint(word.at, RULE, message, "the marks are undone and failed");
    }
    mark
}

fn keep(node: &Node, report: &mut Report) -> Vec<(Word, Path)> {
    let Some(entries) = Entries::new(node, "`keep`", report) else {
        return Vec::new();
    };
    entries.all().filter_map(|(name, node)| Some((name, words::path(node, "what is kept", report)?))).collect()
}

/// A state, or a list of `{ when: guard, to: state }` closed by `{ otherwise: state }`.
pub fn target(node: &Node, report: &mut Report) -> Option<Target> {
    let NodeKind::List(nodes) = &node.kind else {
        let otherwise = words::kebab(node, "a state", report)?;
        return Some(Target { guards: Vec::new(), otherwise });
    };
    let mut guards = Vec::new();
    let mut otherwise = None;
    for node in nodes {
        if otherwise.is_some() {
            report.add(node.at, RULE, "nothing is looked at after `otherwise`");
            return None;
        }
        let mut entries = Entries::new(node, "a guard", report)?;
        if let Some(node) = entries.get("otherwise") {
            otherwise = words::kebab(node, "a state", report);
        } else {
            let guard = entries.require("when", report).and_then(|node| guard(node, report));
            let to = entries.require("to", report).and_then(|node| words::kebab(node, "a state", report));
            if let (Some(guard), Some(to)) = (guard, to) {
                guards.push((guard, to));
            }
        }
        entries.finish(report);
    }
    if otherwise.is_none() {
        report.add_with_hint(
            node.at,
            RULE,
            "the guards do not say what happens when none holds",
            "close the list with `- { otherwise: state }`",
        );
    }
    Some(Target { guards, otherwise: otherwise? })
}

fn guard(node: &Node, report: &mut Report) -> Option<Guard> {
    let word = words::word(node, "`when`", report)?;
    match guard::read(&word.text) {
        Ok(expression) => Some(Guard { at: word.at, text: word.text, expression }),
        Err(error) => {
            report.add(word.at, RULE, format!("the guard `{}` cannot be read: {error}", word.text));
            None
        }
    }
}

/// `with: { login: owner.login, require: [mail] }`.
pub fn arguments(node: &Node, report: &mut Report) -> BTreeMap<String, Argument> {
    let mut arguments = BTreeMap::new();
    let Some(entries) = Entries::new(node, "`with`", report) else {
        return arguments;
    };
    for (name, node) in entries.all() {
        let value = match &node.kind {
            NodeKind::Scalar { text, .. } => ArgumentValue::Word(text.clone()),
            NodeKind::List(_) => ArgumentValue::Words(words::words(node, "a word", report)),
            NodeKind::Map(_) => {
                report.add(node.at, RULE, "an argument is a data name, a word or a list of words");
                continue;
            }
        };
        arguments.insert(name.text, Argument { at: node.at, value });
    }
    arguments
}
