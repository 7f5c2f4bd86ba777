//! The head of a file, and the file as a whole.

use super::Entries;
use super::tree::{Node, NodeKind};
use super::{RULE, data, state, words};
use crate::definition::{Cancel, Definition, Form, Start, Word};
use crate::diagnostic::Report;

pub fn read(file: &str, node: &Node, report: &mut Report) -> Option<Definition> {
    let mut entries = Entries::new(node, "a workflow", report)?;
    if entries.first().is_some_and(|(key, _)| key != "workflow") {
        report.add(entries.at, RULE, "a file begins with `workflow:` and its name");
    }
    let name = entries.require("workflow", report).and_then(|node| words::kebab(node, "the workflow's name", report));
    let version =
        entries.require("version", report).and_then(|node| words::number(node, "`version`", 1..=1_000_000, report));
    let title = entries.require("title", report).and_then(|node| words::text(node, "`title`", report));
    let stages = entries.get("stages").map(|node| stages(node, report)).unwrap_or_default();
    let start = entries.require("start", report).and_then(|node| start(node, report));
    let holds = entries.get("holds").map(|node| words::words(node, "`holds`", report)).unwrap_or_default();
    let see = entries.get("see").map(|node| words::parties(node, "`see`", report)).unwrap_or_default();
    let repair = entries.get("repair").map(|node| words::words(node, "a role", report)).unwrap_or_default();
    let cancel = entries.get("cancel").map(|node| cancel(node, report));
    let deadline = entries.get("deadline").map(|node| words::deadline(node, report));
    let data = entries.get("data").map(|node| data::read(node, report)).unwrap_or_default();
    let states = match entries.require("states", report) {
        Some(node) => state::read_all(node, report),
        None => Vec::new(),
    };
    entries.finish(report);
    // What is written and cannot be read must not count as left out.
    let deadline = match deadline {
        Some(read) => Some(read?),
        None => None,
    };
    let cancel = match cancel {
        Some(read) => Some(read?),
        None => None,
    };
    Some(Definition {
        file: file.to_owned(),
        name: name?,
        version: version?,
        title: title?,
        stages,
        start: start?,
        holds,
        see,
        repair,
        cancel,
        deadline,
        data,
        states,
    })
}

/// `[Prepare, Certificates, Done]`: titles that people read.
fn stages(node: &Node, report: &mut Report) -> Vec<Word> {
    words::words(node, "a stage", report)
}

/// `{ by: [owner], to: stopped }`.
fn cancel(node: &Node, report: &mut Report) -> Option<Cancel> {
    let mut entries = Entries::new(node, "`cancel`", report)?;
    let by = entries.require("by", report).map(|node| words::parties(node, "`by`", report)).unwrap_or_default();
    let to = entries.require("to", report).and_then(|node| words::kebab(node, "a state", report));
    entries.finish(report);
    Some(Cancel { by, to: to? })
}

fn start(node: &Node, report: &mut Report) -> Option<Start> {
    if let NodeKind::Scalar { text, .. } = &node.kind
        && text == "only-as-child"
    {
        return Some(Start::default());
    }
    let mut entries = Entries::new(node, "`start`, unless it is `only-as-child`,", report)?;
    let by = entries.require("by", report).map(|node| words::parties(node, "`by`", report)).unwrap_or_default();
    let subject = entries.get("about").and_then(|node| words::word(node, "`about`", report));
    let every = entries.get("every").map(|node| words::duration(node, "`every`", report));
    let form = entries.get("form").map(|node| form(node, report));
    let link = entries.get("link").and_then(|node| words::word(node, "`link`", report));
    if let Some(link) = &link
        && !(link.text.starts_with('/')
            && words::is_kebab(
                &Word { text: link.text.trim_start_matches('/').to_owned(), at: link.at },
                "the link",
                report,
            ))
    {
        report.add(link.at, RULE, "a link is one kebab-case word after a `/`");
    }
    entries.finish(report);
    let every = match every {
        Some(read) => Some(read?),
        None => None,
    };
    let form = match form {
        Some(read) => Some(read?),
        None => None,
    };
    Some(Start { by, subject, link, form, every })
}

/// `{ ask: Really?, fields: { reason: { type: reason } }, label: "Yes, do it" }`.
fn form(node: &Node, report: &mut Report) -> Option<Form> {
    let mut entries = Entries::new(node, "`form`", report)?;
    let question = entries.require("ask", report).and_then(|node| words::text(node, "`ask`", report));
    let fields = entries.get("fields").map(|node| state::inputs(node, report)).unwrap_or_default();
    let label = entries.get("label").and_then(|node| words::text(node, "`label`", report));
    let confirm = entries.get("confirm").and_then(|node| words::text(node, "`confirm`", report));
    entries.finish(report);
    let label = label.unwrap_or_else(|| "Begin".to_owned());
    Some(Form { at: node.at, question: question?, fields, label, confirm })
}
