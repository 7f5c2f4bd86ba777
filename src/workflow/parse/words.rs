//! Scalars and lists of them, with the checks that every name gets.

use time::Duration;

use super::RULE;
use super::tree::{Node, NodeKind};
use crate::definition::{Deadline, Party, Path, Word};
use crate::diagnostic::{Position, Report};
use crate::span;

use super::Entries;

const LONGEST_TEXT: usize = 500;

pub fn word(node: &Node, what: &str, report: &mut Report) -> Option<Word> {
    match &node.kind {
        NodeKind::Scalar { text, .. } if !text.is_empty() => Some(Word { text: text.clone(), at: node.at }),
        _ => {
            report.add(node.at, RULE, format!("{what} must be a word, this is {}", node.what()));
            None
        }
    }
}

/// A name of a workflow, state, action, outcome or role.
pub fn kebab(node: &Node, what: &str, report: &mut Report) -> Option<Word> {
    let word = word(node, what, report)?;
    is_kebab(&word, what, report).then_some(word)
}

pub fn is_kebab(word: &Word, what: &str, report: &mut Report) -> bool {
    let valid = is_name(&word.text, b'-');
    if !valid {
        let message = format!("{what} `{}` must be kebab-case: a-z, 0-9 and `-`, at most 64 characters", word.text);
        report.add(word.at, RULE, message);
    }
    valid
}

/// A name of data.
pub fn is_snake(word: &Word, what: &str, report: &mut Report) -> bool {
    let valid = is_name(&word.text, b'_');
    if !valid {
        let message = format!("{what} `{}` must be snake_case: a-z, 0-9 and `_`, at most 64 characters", word.text);
        report.add(word.at, RULE, message);
    }
    valid
}

fn is_name(text: &str, joint: u8) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with(char::from(joint))
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == joint)
}

/// A sentence for people.
pub fn text(node: &Node, what: &str, report: &mut Report) -> Option<String> {
    let word = word(node, what, report)?;
    if word.text.chars().count() > LONGEST_TEXT {
        report.add(node.at, RULE, format!("{what} is longer than {LONGEST_TEXT} characters"));
        return None;
    }
    Some(word.text)
}

/// Text without places for data.
pub fn plain_text(node: &Node, what: &str, report: &mut Report) -> Option<String> {
    let text = text(node, what, report)?;
    if text.contains('{') {
        report.add(node.at, RULE, format!("{what} has no places for data here"));
    }
    Some(text)
}

pub fn yes_or_no(node: &Node, what: &str, report: &mut Report) -> Option<bool> {
    let word = word(node, what, report)?;
    match word.text.as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => {
            report.add(word.at, RULE, format!("{what} must be yes or no"));
            None
        }
    }
}

pub fn number(node: &Node, what: &str, range: std::ops::RangeInclusive<u32>, report: &mut Report) -> Option<u32> {
    let word = word(node, what, report)?;
    let number = word.text.parse().ok().filter(|number| range.contains(number));
    if number.is_none() {
        let message = format!("{what} must be a number from {} to {}", range.start(), range.end());
        report.add(node.at, RULE, message);
    }
    number
}

pub fn duration(node: &Node, what: &str, report: &mut Report) -> Option<Duration> {
    let word = word(node, what, report)?;
    let span = span::parse(&word.text);
    if span.is_none() {
        let message = format!("{what} `{}` is no span of time", word.text);
        report.add_with_hint(node.at, RULE, message, "write a number and s, m, h or d, such as `30m`");
    }
    span
}

/// A word, or a list of words.
pub fn words(node: &Node, what: &str, report: &mut Report) -> Vec<Word> {
    match &node.kind {
        NodeKind::List(nodes) => nodes.iter().filter_map(|node| word(node, what, report)).collect(),
        _ => word(node, what, report).into_iter().collect(),
    }
}

pub fn path(node: &Node, what: &str, report: &mut Report) -> Option<Path> {
    let word = word(node, what, report)?;
    let path = Path::parse(&word.text, word.at);
    if path.is_none() {
        report.add(word.at, RULE, format!("{what} `{}` is no data name such as `card.serial`", word.text));
    }
    path
}

/// `owner`, `requester` or a role, one or several, or `{ role: … }`.
pub fn parties(node: &Node, what: &str, report: &mut Report) -> Vec<Party> {
    words(node, what, report)
        .into_iter()
        .filter(|word| is_kebab(word, what, report))
        .map(|word| match word.text.as_str() {
            "owner" => Party::Owner,
            "requester" => Party::Requester,
            _ => Party::Role(word),
        })
        .collect()
}

/// `{ after: 30m, to: abandoned }`.
pub fn deadline(node: &Node, report: &mut Report) -> Option<Deadline> {
    let mut entries = Entries::new(node, "a deadline", report)?;
    let after = entries.require("after", report).and_then(|node| duration(node, "`after`", report));
    let to = entries.require("to", report).and_then(|node| kebab(node, "a state", report));
    entries.finish(report);
    Some(Deadline { after: after?, to: to? })
}

/// `2s to 1m`: two spans or numbers with `to` between.
pub fn range<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<(&'a str, &'a str, Position)> {
    let parts = match &node.kind {
        NodeKind::Scalar { text, .. } => text.split_once(" to "),
        _ => None,
    };
    if parts.is_none() {
        report.add_with_hint(
            node.at,
            RULE,
            format!("{what} must be a range"),
            "write the least and the greatest, such as `2s to 1m`",
        );
    }
    parts.map(|(least, greatest)| (least.trim(), greatest.trim(), node.at))
}
