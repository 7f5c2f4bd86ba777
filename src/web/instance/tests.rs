//! What the page says of ways that were taken: progress, sentences, reasons, stages. The trees are made by hand, of the built-in workflows.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::past::{Line, LineStatus, is_undone, progress};
use super::sentences::entries;
use super::stages::stages;
use crate::desk::instances::{HistoryRecord, Stored};
use crate::engine::verbs::{View, causes, reasons};
use crate::testing::World;
use crate::testing::pages::{Browser, text};

/// A part of a tree: who it is, how it stands, and its history as state, event, detail and actor.
struct Part<'a> {
    id: u128,
    parent: Option<(u128, u64)>,
    workflow: &'a str,
    status: &'a str,
    /// Asked to end by somebody or something else.
    is_ended: bool,
    data: Value,
    say: Option<&'a str>,
    rows: &'a [(&'a str, &'a str, Option<&'a str>, Option<&'a str>)],
}

impl Default for Part<'_> {
    fn default() -> Self {
        Self {
            id: 1,
            parent: None,
            workflow: "",
            status: "running",
            is_ended: false,
            data: json!({}),
            say: None,
            rows: &[],
        }
    }
}

/// A row that names the state before anew stays in its step.
fn history(part: &Part<'_>) -> Vec<HistoryRecord> {
    let mut step = 0;
    let mut last = "";
    let rows = part.rows.iter().enumerate().map(|(index, (state, event, detail, actor))| {
        if *state != last {
            step += 1;
        }
        last = state;
        HistoryRecord {
            instance: Uuid::from_u128(part.id),
            revision: i64::try_from(index).expect("few") + 1,
            at: i64::try_from(index).expect("few"),
            event: (*event).to_owned(),
            state: (*state).to_owned(),
            step,
            actor: actor.map(str::to_owned),
            role: None,
            detail: detail.map(str::to_owned),
        }
    });
    rows.collect()
}

fn stored(world: &World, part: &Part<'_>) -> Stored {
    let definition = world.portal().engine.definitions().current(part.workflow).expect("a workflow").clone();
    let (person, last) = (json!({ "login": "alice" }), history(part).pop().expect("a row"));
    let parent = part.parent.map(|(id, step)| json!({ "id": Uuid::from_u128(id), "step": step, "index": part.id }));
    let instance = json!({
        "id": Uuid::from_u128(part.id), "workflow": part.workflow, "version": definition.version, "state": last.state,
        "step": last.step, "entered_at": 1, "status": part.status, "waiting": "nothing",
        "cancelling": part.is_ended.then(|| json!({ "cause": "leaving", "to": null })), "data": part.data,
        "owner": person, "requester": person, "role": "user", "parent": parent, "result": null, "say": part.say,
    });
    let instance = serde_json::from_value(instance).expect("an instance");
    Stored { instance, root: Uuid::from_u128(1), revision: 1, started_at: 1, changed_at: 1, ended_at: None }
}

/// The view of the first part.
fn view(world: &World, parts: &[Part<'_>]) -> View {
    let tree: Vec<Stored> = parts.iter().map(|part| stored(world, part)).collect();
    let first = tree.first().expect("a part").clone();
    let definitions = world.portal().engine.definitions();
    let definition = definitions.of(&first.instance.workflow, first.instance.version).expect("it is there");
    let histories: BTreeMap<_, _> = parts.iter().map(|part| (Uuid::from_u128(part.id), history(part))).collect();
    View { stored: first, definition, tree, histories, deadline: None, questions: Vec::new(), operations: Vec::new() }
}

fn sentences(world: &World, parts: &[Part<'_>]) -> Vec<String> {
    entries(world.portal(), &view(world, parts)).into_iter().map(|entry| entry.what).collect()
}

/// Labels and marks, those of parts after their whole.
fn marks(world: &World, parts: &[Part<'_>]) -> Vec<(String, &'static str)> {
    fn flat(lines: &[Line], marks: &mut Vec<(String, &'static str)>) {
        for line in lines {
            marks.push((line.label.clone(), line.status.as_str()));
            flat(&line.below, marks);
        }
    }
    let mut flattened = Vec::new();
    flat(&progress(world.portal(), &view(world, parts), Uuid::from_u128(1)), &mut flattened);
    flattened
}

const ALICE: Option<&str> = Some("alice");
const RITA: Option<&str> = Some("rita");

fn revoked<'a>(unpublished: &'a [(&'a str, &'a str, Option<&'a str>, Option<&'a str>)]) -> Part<'a> {
    let data = json!({ "certificate": null, "reason": "key-compromise" });
    Part { workflow: "revoke-certificate", status: "success", data, rows: unpublished, ..Part::default() }
}

#[test]
fn an_outcome_belongs_to_the_state_that_it_left() {
    let world = World::new(None);
    let rows = [
        ("look", "started", None, ALICE),
        ("revoke", "completed", Some("in-use"), None),
        ("publish-list", "completed", Some("revoked"), None),
        ("publish-list", "failed", Some("signer"), None),
        ("publish-list", "timer", Some("retry"), None),
        ("unpublish", "completed", Some("issued"), None),
        ("done", "completed", Some("refused"), None),
    ];
    let expected = [
        "alice started “Revoke a certificate”: key compromise.",
        "The certificate is in use.",
        "The certificate is revoked from now on.",
        "Publishing the revocation list: an attempt failed (signer).",
        "Publishing the revocation list: tried again.",
        "A new revocation list was published.",
        "The directory was asked to take the certificate back: it refused.",
    ];
    assert_eq!(sentences(&world, &[revoked(&rows)]), expected);
}

/// The data has what was asked last: what was asked before is not told in its place.
#[test]
fn a_decision_is_told_with_its_reason() {
    let world = World::new(None);
    let data = json!({ "question": "And <b>now</b>?", "answer": "Yes.", "reason": "Wrong department" });
    let rows = [
        ("prepare", "started", None, ALICE),
        ("approve", "completed", Some("prepared"), None),
        ("approve", "claimed", None, RITA),
        ("answer", "acted", Some("ask-back"), RITA),
        ("approve", "acted", Some("answer"), ALICE),
        ("answer", "acted", Some("ask-back"), RITA),
        ("approve", "acted", Some("answer"), ALICE),
        ("approve", "acted", Some("approve"), Some("ralf")),
        ("rejected", "acted", Some("reject"), RITA),
    ];
    let request = Part {
        workflow: "issue-certificate",
        status: "failure",
        data,
        parent: Some((9, 1)),
        rows: &rows,
        ..Part::default()
    };
    let expected = [
        "“Issue a certificate” began.",
        "The request meets the rules.",
        "rita took on “Waiting for an RA operator's decision”.",
        "rita asked.",
        "alice answered.",
        "rita asked: “And <b>now</b>?”",
        "alice answered: “Yes.”",
        "ralf approved. More approvals are needed.",
        "rita rejected: “Wrong department”",
    ];
    assert_eq!(sentences(&world, &[request]), expected);
}

#[test]
fn what_no_definition_has_words_for_is_told_by_its_labels() {
    let world = World::new(None);
    let rows = [
        ("look-up-person", "started", None, ALICE),
        ("insert-card", "completed", Some("found"), None),
        ("certify", "completed", Some("of-another-outcome"), None),
        ("certify", "child-ended", Some("success"), None),
        ("certify", "cancelled", None, ALICE),
        ("stopped", "child-ended", Some("cancelled"), None),
    ];
    let expected = [
        "alice started “Personalize your smart card”.",
        "The directory knows the person.",
        "Reading your card: of another outcome.",
        "Making your certificates: a part is done.",
        "alice stopped “Personalize your smart card”.",
        "Making your certificates: a part was ended.",
    ];
    let stopped = Part { workflow: "personalize", status: "cancelled", is_ended: true, rows: &rows, ..Part::default() };
    assert_eq!(sentences(&world, &[stopped]), expected);
}

#[test]
fn what_goes_on_with_something_left_undone_is_marked() {
    let world = World::new(None);
    let way = |last| {
        [
            ("look", "started", None, ALICE),
            ("revoke", "completed", Some("in-use"), None),
            ("publish-list", "completed", Some("revoked"), None),
            ("unpublish", "completed", Some("issued"), None),
            ("done", "completed", Some(last), None),
        ]
    };
    for (outcome, mark) in [("refused", "undone"), ("not-there", "done"), ("unpublished", "done")] {
        let rows = way(outcome);
        let marks = marks(&world, &[revoked(&rows)]);
        let unpublished = marks.iter().find(|(label, _)| label == "Removing it from the directory");
        assert_eq!(unpublished.map(|(_, mark)| *mark), Some(mark), "{outcome}");
        assert!(marks.iter().filter(|(label, _)| label != "Removing it from the directory").all(|of| of.1 == "done"));
        let lines = progress(world.portal(), &view(&world, &[revoked(&rows)]), Uuid::from_u128(1));
        assert_eq!(is_undone(&lines), mark == "undone");
    }
    // Whoever refuses to publish or to unpublish leaves something undone, in every workflow.
    for definition in world.portal().engine.definitions().all() {
        for state in &definition.states {
            let sealwright_workflow::definition::Kind::Do(call) = &state.kind else { continue };
            if call.name.text.ends_with("publish-certificates") {
                let refused = call.next.get("refused").expect("an outcome");
                assert_eq!(refused.mark, Some(sealwright_workflow::definition::Mark::Undone), "{}", state.name.text);
            }
        }
    }
}

#[test]
fn a_step_is_marked_where_it_failed() {
    let world = World::new(None);
    let slot = json!({ "slot": { "title": "Signatures" }, "certificate": null });
    let way = |outcome| {
        [
            ("look", "started", None, ALICE),
            ("generate", "completed", Some("none"), None),
            ("issue", "completed", Some("made"), None),
            ("install", "child-ended", Some("success"), None),
            ("withdraw", "completed", Some(outcome), None),
            ("failed", "child-ended", Some("success"), None),
        ]
    };
    let rows = way("refused");
    let part = Part { workflow: "certify-slot", status: "failure", data: slot.clone(), rows: &rows, ..Part::default() };
    let expected = [
        ("Checking what is on the card", "done"),
        ("Making a key on the card", "done"),
        ("Issuing the certificate", "done"),
        ("Writing the certificate to the card and testing its key", "failed"),
        ("Revoking a certificate that did not reach its card", "done"),
        ("Failed", "failed"),
    ];
    assert_eq!(marks(&world, &[part]), expected.map(|(label, mark)| (label.to_owned(), mark)));
    // A card that is refused is no step that went well, although another one may be tried.
    let rows = [
        ("look-up-person", "started", None, ALICE),
        ("insert-card", "completed", Some("found"), None),
        ("card-in-use", "completed", Some("in-use"), None),
    ];
    let found = marks(&world, &[Part { workflow: "personalize", rows: &rows, ..Part::default() }]);
    let expected =
        [("Looking you up in the directory", "done"), ("Reading your card", "failed"), ("The card is in use", "now")];
    assert_eq!(found, expected.map(|(label, mark)| (label.to_owned(), mark)));
    // A deadline that ends it is no failure.
    let rows = [
        ("look-up-person", "started", None, ALICE),
        ("insert-card", "completed", Some("found"), None),
        ("abandoned", "timer", Some("state-deadline"), None),
    ];
    let found = marks(&world, &[Part { workflow: "personalize", status: "cancelled", rows: &rows, ..Part::default() }]);
    assert_eq!(found.iter().map(|(_, mark)| *mark).collect::<Vec<_>>(), ["done", "cancelled", "cancelled"]);
}

const REJECTED: &str = "An RA operator has rejected the request. The reason: Wrong department";

const WAY_TO_CERTIFY: [(&str, &str, Option<&str>, Option<&str>); 3] = [
    ("look-up-person", "started", None, ALICE),
    ("insert-card", "completed", Some("found"), None),
    ("certify", "completed", Some("identified"), None),
];
const WAY_TO_ISSUE: [(&str, &str, Option<&str>, Option<&str>); 3] = [
    ("look", "started", None, ALICE),
    ("generate", "completed", Some("none"), None),
    ("issue", "completed", Some("made"), None),
];
const WAY_TO_DECIDE: [(&str, &str, Option<&str>, Option<&str>); 2] =
    [("prepare", "started", None, ALICE), ("approve", "completed", Some("prepared"), None)];

#[test]
fn a_rejection_is_explained_once() {
    let world = World::new(None);
    let root = [&WAY_TO_CERTIFY[..], &[("not-finished", "child-ended", Some("failure"), None)]].concat();
    let slot = [&WAY_TO_ISSUE[..], &[("failed", "child-ended", Some("failure"), None)]].concat();
    let request = [&WAY_TO_DECIDE[..], &[("rejected", "acted", Some("reject"), RITA)]].concat();
    let failed = |id, workflow, say, parent, rows| Part {
        id,
        workflow,
        status: "failure",
        say: Some(say),
        parent,
        rows,
        data: if id == 3 { json!({}) } else { json!({ "slot": { "title": "Signatures" } }) },
        ..Part::default()
    };
    let parts = [
        failed(1, "personalize", "Not every certificate could be put on the card.", None, &root),
        failed(2, "certify-slot", "Signatures: the certificate could not be made.", Some((1, 3)), &slot),
        failed(3, "issue-certificate", REJECTED, Some((2, 3)), &request),
    ];
    let whole = view(&world, &parts);
    assert_eq!(reasons(&whole.tree), [REJECTED]);
    // The request's own page has it in the headline, and nowhere else.
    let request = &whole.tree.iter().find(|part| part.instance.id == Uuid::from_u128(3)).expect("it").instance;
    assert!(causes(&whole.tree, request).is_empty());
    let found = marks(&world, &parts);
    let failed: Vec<&str> =
        found.iter().filter(|(_, mark)| *mark == "failed").map(|(label, _)| label.as_str()).collect();
    let expected = [
        "Making your certificates",
        "Signatures",
        "Issuing the certificate",
        "Waiting for an RA operator's decision",
        "Rejected",
        "Failed",
        "Not finished",
    ];
    assert_eq!(failed, expected);
}

#[test]
fn what_was_stopped_says_that_it_was_stopped() {
    let world = World::new(None);
    let root = [
        &WAY_TO_CERTIFY[..],
        &[("certify", "cancelled", None, ALICE), ("stopped", "child-ended", Some("failure"), None)],
    ]
    .concat();
    let slot =
        [&WAY_TO_ISSUE[..], &[("issue", "cancelled", None, ALICE), ("failed", "child-ended", Some("cancelled"), None)]]
            .concat();
    let request = [&WAY_TO_DECIDE[..], &[("approve", "cancelled", None, ALICE)]].concat();
    let ended = |id, workflow, status, say, parent, rows| Part {
        id,
        workflow,
        status,
        is_ended: true,
        say,
        parent,
        rows,
        data: json!({ "slot": { "title": "Signatures" } }),
    };
    let parts = [
        ended(1, "personalize", "cancelled", Some("You stopped."), None, &root),
        ended(2, "certify-slot", "failure", Some("The certificate could not be made."), Some((1, 3)), &slot),
        ended(3, "issue-certificate", "cancelled", None, Some((2, 3)), &request),
    ];
    assert!(reasons(&view(&world, &parts).tree).is_empty());
    assert!(marks(&world, &parts).iter().all(|(_, mark)| *mark != "failed"), "{:?}", marks(&world, &parts));
}

#[test]
fn stages_are_known_from_the_start() {
    let world = World::new(None);
    let slots = json!({ "slots": [{}, {}] });
    let seen = |parts: &[Part<'_>]| {
        let view = view(&world, parts);
        let found = stages(&view, &view.definition).into_iter();
        let text = |(done, all)| format!(" {done}/{all}");
        let words = found.map(|of| format!("{}{}: {}", of.title, of.parts.map(text).unwrap_or_default(), of.status));
        words.collect::<Vec<_>>().join(", ")
    };
    let begun = |rows, status| Part { workflow: "personalize", status, data: slots.clone(), rows, ..Part::default() };
    let first = [("look-up-person", "started", None, ALICE)];
    let now = "Prepare: now, Connect: next, PIN: next, Certificates 0/2: next, Done: next";
    assert_eq!(seen(&[begun(&first, "running")]), now);
    let certify = begun(&WAY_TO_CERTIFY, "running");
    let slot = [("look", "started", None, ALICE), ("done", "completed", Some("found"), None)];
    let slot = Part {
        id: 2,
        workflow: "certify-slot",
        status: "success",
        parent: Some((1, 3)),
        rows: &slot,
        ..Part::default()
    };
    let half = "Prepare: done, Connect: done, PIN: skipped, Certificates 1/2: now, Done: next";
    assert_eq!(seen(&[certify, slot]), half);
    let failed = [&WAY_TO_CERTIFY[..], &[("not-finished", "child-ended", Some("failure"), None)]].concat();
    let failed = seen(&[begun(&failed, "failure")]);
    assert_eq!(failed, "Prepare: done, Connect: done, PIN: skipped, Certificates 0/2: failed, Done: next");
    // A workflow that declares none has none.
    assert_eq!(seen(&[revoked(&[("look", "started", None, ALICE)])]), "");
}

#[test]
fn a_mark_has_a_class_of_its_own() {
    let all = [LineStatus::Done, LineStatus::Now, LineStatus::Undone, LineStatus::Failed, LineStatus::Cancelled];
    let style = include_str!("../../../static/sealwright.css");
    for status in all {
        assert!(style.contains(&format!(".{} > .mark", status.as_str())), "{status:?}");
    }
}

#[test]
fn the_headline_says_what_to_do_now() {
    let world = World::new(None);
    let id = world.begin("personalize", &json!({})).expect("no armed place");
    let mut alice = Browser::in_role(&world, "alice", "user");
    let path = format!("/instances/{id}");
    let headline = |page: &str| {
        let (_, headline) = page.split_once("role=\"status\">").expect("a headline");
        text(headline.split_once("</p>").expect("its end").0)
    };
    let page = waits_for_the_card(&mut alice, &path);
    assert_eq!(headline(&page.body), "Connect your card reader");
    let present: Vec<&str> = page.body.split("aria-current=\"step\"").skip(1).collect();
    assert!(matches!(present.as_slice(), [only] if text(&format!("<li{only}")).starts_with("●Connect")), "{page:?}");
    assert!(text(&page.body).contains("Certificates 0/2"));
    assert_eq!(alice.post(&format!("{path}/code"), &page, &[]).status, 303);
    let page = alice.get(&path);
    assert_eq!(headline(&page.body), "Start the card agent");
    assert!(page.body.contains("data-copy=\".command\""), "{}", page.body);
    // Somebody else reads where it stands, and not what they should do.
    let carl = Browser::in_role(&world, "carl", "ca-operator").get(&path);
    assert_eq!(headline(&carl.body), "Reading your card");
}

fn waits_for_the_card(browser: &mut Browser, path: &str) -> crate::testing::pages::Page {
    for _ in 0..1000 {
        let page = browser.get(path);
        if page.body.contains("Get a code") {
            return page;
        }
        std::thread::yield_now();
    }
    panic!("it asks for no card");
}

const TRIAL: &str = "workflow: trial
version: 1
title: Trial
start: { by: [user] }
see: [owner]
data:
  reason: optional text
states:
  decide:
    ask: Shall it be?
    label: Waiting for a decision
    now: Decide
    actions:
      reject: { by: owner, did: rejected it, fields: { reason: { type: text, length: 3 to 50 } }, keep: { reason: fields.reason }, to: rejected }
      give-up: { by: owner, label: Give up, to: given-up }
      accept: { by: owner, label: Accept, mark: undone, to: accepted }
    deadline: { after: 1h, to: given-up }
  accepted: { end: success, label: Accepted, say: It was accepted. }
  rejected: { end: failure, label: Rejected, again: no, say: \"Speak with the help desk first: {reason}\" }
  given-up: { end: cancelled, label: Given up, say: You gave up. }
";

#[test]
fn another_start_is_offered_where_the_end_allows_it() {
    let world = World::new(Some(TRIAL));
    let mut alice = Browser::in_role(&world, "alice", "user");
    let cases = [
        ("reject", "Speak with the help desk first: Wrong card", false, "alice rejected it: “Wrong card”"),
        ("give-up", "You gave up.", true, "alice chose “Give up”."),
        ("accept", "It was accepted.", false, "alice chose “Accept”."),
    ];
    for (action, headline, again, told) in cases {
        let path = format!("/instances/{}", world.begin("trial", &json!({})).expect("no armed place"));
        let page = alice.get(&path);
        assert!(text(&page.body).contains("Trial Decide"), "{}", page.body);
        let hidden = |name: &str| {
            let (_, value) = page.body.split_once(&format!("name=\"{name}\" value=\"")).expect("a field");
            value.split_once('"').expect("its end").0.to_owned()
        };
        let (step, shown) = (hidden("step"), hidden("shown"));
        let mut fields = vec![("step", step.as_str()), ("shown", shown.as_str()), ("action", action)];
        fields.extend((action == "reject").then_some(("field_reason", "Wrong card")));
        let sent = alice.post(&format!("{path}/act"), &page, &fields);
        assert_eq!(sent.status, 303, "{sent:?}");
        let page = alice.get(&path);
        let said = text(&page.body);
        assert_eq!(said.matches(headline).count(), 1, "{said}");
        assert_eq!(page.body.contains("Start again"), again, "{said}");
        assert!(said.contains(told), "{said}");
        let is_undone = page.body.contains("status undone") && said.contains("Waiting for a decision (left undone)");
        assert_eq!(is_undone, action == "accept", "{}", page.body);
    }
}
