//! The states: one reader for each kind, chosen by the state's first key.

use std::collections::BTreeMap;

use time::Duration;

use super::Entries;
use super::tree::Node;
use super::{RULE, data, next, words};
use crate::definition::{
    Action, Ask, Call, End, EndOutcome, Fork, Input, Kind, LONGEST_RETRY, Outcomes, Party, Path, People, Retry, Run,
    State, Wait, Word,
};
use crate::diagnostic::{Report, nearest};
use crate::span;

const KINDS: [&str; 7] = ["ask", "do", "card", "run", "fork", "wait", "end"];
const LONGEST_INPUT: usize = 2000;

pub fn read_all(node: &Node, report: &mut Report) -> Vec<State> {
    let Some(entries) = Entries::new(node, "`states`", report) else {
        return Vec::new();
    };
    let states: Vec<State> = entries
        .all()
        .filter_map(|(name, node)| {
            let valid = words::is_kebab(&name, "the state", report);
            read(name, node, report).filter(|_| valid)
        })
        .collect();
    if states.is_empty() {
        report.add(node.at, RULE, "a workflow needs at least one state");
    }
    states
}

fn read(name: Word, node: &Node, report: &mut Report) -> Option<State> {
    let mut entries = Entries::new(node, "a state", report)?;
    let kind = match entries.first() {
        Some(("ask", _)) => ask(&mut entries, report).map(Kind::Ask),
        Some(("do", _)) => call(&mut entries, "do", report).map(Kind::Do),
        Some(("card", _)) => call(&mut entries, "card", report).map(Kind::Card),
        Some(("run", _)) => run(&mut entries, "run", report).map(Kind::Run),
        Some(("fork", _)) => fork(&mut entries, report).map(Kind::Fork),
        Some(("wait", _)) => wait(&mut entries, report).map(Kind::Wait),
        Some(("end", _)) => end(&mut entries, report).map(Kind::End),
        other => {
            let (key, at) = other.unwrap_or(("", node.at));
            let message = format!("a state begins with its kind, `{key}` is none");
            let hint = nearest(key, KINDS).unwrap_or_else(|| format!("the kinds are {}", KINDS.join(", ")));
            report.add_with_hint(at, RULE, message, hint);
            return None;
        }
    };
    let label = entries.get("label").and_then(|node| words::text(node, "`label`", report));
    let now = entries.get("now").and_then(|node| words::text(node, "`now`", report));
    let stage = entries.get("stage").and_then(|node| words::word(node, "`stage`", report));
    let show = entries.get("show").map(|node| words::words(node, "`show`", report)).unwrap_or_default();
    let waits = matches!(kind, Some(Kind::Ask(_) | Kind::Do(_) | Kind::Card(_) | Kind::Wait(_)));
    let deadline = if waits { entries.get("deadline").and_then(|node| words::deadline(node, report)) } else { None };
    let if_cancelled = if matches!(kind, Some(Kind::End(_))) {
        None
    } else {
        entries.get("if-cancelled").and_then(|node| next::target(node, report))
    };
    entries.finish(report);
    let label = label.unwrap_or_else(|| sentence(&name.text));
    Some(State { name, label, kind: kind?, now, stage, show, deadline, if_cancelled })
}

/// `look-up-person` becomes `Look up person`.
pub fn sentence(name: &str) -> String {
    let mut words = name.replace(['-', '_'], " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

fn ask(entries: &mut Entries<'_>, report: &mut Report) -> Option<Ask> {
    let question = entries.require("ask", report).and_then(|node| words::text(node, "`ask`", report));
    let mut actions = Vec::new();
    if let Some(node) = entries.require("actions", report)
        && let Some(named) = Entries::new(node, "`actions`", report)
    {
        for (name, node) in named.all() {
            let valid = words::is_kebab(&name, "the action", report);
            actions.extend(action(name, node, report).filter(|_| valid));
        }
    }
    Some(Ask { question: question?, actions })
}

fn action(name: Word, node: &Node, report: &mut Report) -> Option<Action> {
    let mut entries = Entries::new(node, "an action", report)?;
    let by = entries.require("by", report).map(|node| words::parties(node, "`by`", report)).unwrap_or_default();
    let never = entries.get("never").map(|node| words::parties(node, "`never`", report)).unwrap_or_default();
    let people = entries.get("people").and_then(|node| people(node, report));
    let label = entries.get("label").and_then(|node| words::text(node, "`label`", report));
    let did = entries.get("did").and_then(|node| words::plain_text(node, "`did`", report));
    let mark = entries.get("mark").and_then(|node| next::mark(node, report));
    let confirm = entries.get("confirm").and_then(|node| words::text(node, "`confirm`", report));
    let fields = entries.get("fields").map(|node| inputs(node, report)).unwrap_or_default();
    let keep = entries.get("keep");
    let to = entries.require("to", report);
    entries.finish(report);
    let keep: Vec<(Word, Path)> = keep
        .and_then(|node| Entries::new(node, "`keep`", report))
        .map(|kept| {
            kept.all().filter_map(|(name, node)| Some((name, words::path(node, "what is kept", report)?))).collect()
        })
        .unwrap_or_default();
    let to = next::target(to?, report)?;
    let label = label.unwrap_or_else(|| sentence(&name.text));
    let next = crate::definition::Next { at: name.at, keep, holds: None, to, say: None, mark };
    Some(Action { name, label, did, by, never, people, fields, confirm, next })
}

/// `2`, or a field of the data.
fn people(node: &Node, report: &mut Report) -> Option<People> {
    let word = words::word(node, "`people`", report)?;
    if word.text.starts_with(|first: char| first.is_ascii_digit()) {
        return words::number(node, "`people`", 1..=20, report).map(People::Number);
    }
    words::path(node, "`people`", report).map(People::Path)
}

pub fn inputs(node: &Node, report: &mut Report) -> Vec<Input> {
    let Some(entries) = Entries::new(node, "`fields`", report) else {
        return Vec::new();
    };
    entries
        .all()
        .filter_map(|(name, node)| {
            words::is_snake(&name, "the field", report).then_some(())?;
            let mut entries = Entries::new(node, "a field", report)?;
            let written = entries.require("type", report).and_then(|node| words::word(node, "`type`", report));
            let label = entries.get("label").and_then(|node| words::text(node, "`label`", report));
            let length = entries.get("length").and_then(|node| {
                let (least, greatest, _) = words::range(node, "`length`", report)?;
                Some((least.parse().ok()?, greatest.parse().ok().filter(|greatest| *greatest <= LONGEST_INPUT)?))
            });
            entries.finish(report);
            let written = written?;
            let (inner, optional) = match written.text.strip_prefix("optional ") {
                Some(inner) => (inner, true),
                None => (written.text.as_str(), false),
            };
            let input_type = data::read_type(inner, &written, report)?;
            let label = label.unwrap_or_else(|| sentence(&name.text));
            let input_type = if optional { input_type.optional() } else { input_type };
            Some(Input { name, label, input_type, length: length.unwrap_or((1, 500)), choices: Vec::new() })
        })
        .collect()
}

fn call(entries: &mut Entries<'_>, key: &'static str, report: &mut Report) -> Option<Call> {
    let name = entries.require(key, report).and_then(|node| words::word(node, "the call", report));
    let with = entries.get("with").map(|node| next::arguments(node, report)).unwrap_or_default();
    let retry = if key == "do" { entries.get("retry").and_then(|node| retry(node, report)) } else { None };
    let next = outcomes(entries, report);
    Some(Call { name: name?, with, retry, next: next? })
}

fn outcomes(entries: &mut Entries<'_>, report: &mut Report) -> Option<Outcomes> {
    entries.require("next", report).and_then(|node| next::outcomes(node, report))
}

fn retry(node: &Node, report: &mut Report) -> Option<Retry> {
    let mut entries = Entries::new(node, "`retry`", report)?;
    let after = entries.require("after", report).map(|node| words::words(node, "`after`", report));
    let attempts = match entries.get("until") {
        Some(node) => words::word(node, "`until`", report).and_then(|word| {
            if word.text != "deadline" {
                report.add_with_hint(word.at, RULE, "nothing else is tried until", "write `until: deadline`");
            }
            (word.text == "deadline").then_some(None)
        }),
        None => {
            let node = entries.require("attempts", report);
            node.and_then(|node| words::number(node, "`attempts`", 2..=100, report)).map(Some)
        }
    };
    let wait = entries.require("wait", report).and_then(|node| {
        let (first, longest, at) = words::range(node, "`wait`", report)?;
        let is_wait = |(first, longest): &(Duration, Duration)| first <= longest && *longest <= LONGEST_RETRY;
        let wait = span::parse(first).zip(span::parse(longest)).filter(is_wait);
        if wait.is_none() {
            report.add(at, RULE, "`wait` must be two spans of time, the shorter one first, of a day at most");
        }
        wait
    });
    entries.finish(report);
    let (first, longest) = wait?;
    Some(Retry { after: after?, attempts: attempts?, first, longest })
}

fn run(entries: &mut Entries<'_>, key: &'static str, report: &mut Report) -> Option<Run> {
    let workflow = entries.require(key, report).and_then(|node| words::kebab(node, "the workflow", report));
    let with = entries.get("with").map(|node| next::arguments(node, report)).unwrap_or_default();
    let role = entries.require("as", report).and_then(|node| {
        let parties = words::parties(node, "`as`", report);
        if parties.len() > 1 {
            report.add(node.at, RULE, "a child runs `as` one role or as the owner, not as several");
        }
        parties.into_iter().next()
    });
    let next = outcomes(entries, report);
    let role = role?;
    if matches!(role, Party::Requester) {
        report.add(entries.at, RULE, "a child runs `as` a role or as the owner");
    }
    Some(Run { workflow: workflow?, with, role, next: next? })
}

fn fork(entries: &mut Entries<'_>, report: &mut Report) -> Option<Fork> {
    let run = run(entries, "fork", report);
    let each = entries.require("each", report).and_then(|node| {
        let word = words::word(node, "`each`", report)?;
        let parts = word.text.split_once(" in ").and_then(|(variable, over)| {
            let variable = Word { text: variable.trim().to_owned(), at: word.at };
            Some((variable, Path::parse(over.trim(), word.at)?))
        });
        if parts.is_none() {
            report.add_with_hint(word.at, RULE, "`each` names an element and a list", "write `slot in slots`");
        }
        parts
    });
    let at_once = entries.get("at-once").and_then(|node| words::number(node, "`at-once`", 1..=1000, report));
    if let Some(node) = entries.require("join", report)
        && words::word(node, "`join`", report).is_some_and(|word| word.text != "all")
    {
        report.add_with_hint(node.at, RULE, "this join is not known", "write `join: all`");
    }
    let (variable, over) = each?;
    Some(Fork { run: run?, variable, over, at_once: at_once.unwrap_or(1000) })
}

fn wait(entries: &mut Entries<'_>, report: &mut Report) -> Option<Wait> {
    let node = entries.require("wait", report)?;
    let mut inner = Entries::new(node, "`wait`", report)?;
    let until = inner.require("until", report).and_then(|node| words::word(node, "the condition", report));
    let subject = inner.get("about").and_then(|node| words::path(node, "`about`", report));
    inner.finish(report);
    let holds = outcomes(entries, report)?;
    let next = match (holds.named.as_slice(), &holds.otherwise) {
        ([(name, next)], None) if name.text == "holds" => next.clone(),
        _ => {
            report.add_with_hint(
                node.at,
                RULE,
                "a `wait` goes on when its condition holds",
                "write `next: { holds: state }`",
            );
            return None;
        }
    };
    Some(Wait { until: until?, subject, next })
}

fn end(entries: &mut Entries<'_>, report: &mut Report) -> Option<End> {
    let word = entries.require("end", report).and_then(|node| words::word(node, "`end`", report))?;
    let outcome = EndOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word.text);
    if outcome.is_none() {
        report.add_with_hint(
            word.at,
            RULE,
            format!("`{}` is no end", word.text),
            "the ends are success, failure, cancelled",
        );
    }
    let say = entries.get("say").and_then(|node| words::text(node, "`say`", report));
    let again = entries.get("again").and_then(|node| {
        if outcome == Some(EndOutcome::Success) {
            report.add(node.at, RULE, "`again` belongs to an end without success");
        }
        words::yes_or_no(node, "`again`", report)
    });
    let mut result = BTreeMap::new();
    if let Some(named) = entries.get("result").and_then(|node| Entries::new(node, "`result`", report)) {
        for (name, node) in named.all() {
            words::is_snake(&name, "the result", report);
            result.extend(words::path(node, "the result", report).map(|path| (name.text, path)));
        }
    }
    Some(End { outcome: outcome?, say, again: again.unwrap_or(true), result })
}
