//! Starts by people: nothing is begun before it is confirmed, and nobody else is asked.

use sealwright_workflow::instance::Status;
use sealwright_workflow::step::Rejection;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::World;
use super::node::caller;
use crate::desk::instances::{self, Wanted};
use crate::engine::EngineError;
use crate::engine::idempotency::Key;
use crate::engine::verbs::Caller;
use crate::portal::Portal;

const REVOKE: &str = "revoke-certificate";

/// A world in which alice has a card; gives her first certificate's id.
fn personalized() -> (World, String) {
    let world = World::new(None);
    let data = world.personalize();
    let id = data["certificates"][0]["id"].as_str().expect("an id").to_owned();
    (world, id)
}

fn given(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).expect("an object")
}

async fn count(portal: &Portal, workflow: &str) -> usize {
    let wanted = Wanted { workflow: Some(workflow.to_owned()), ..Wanted::default() };
    instances::visible(&portal.engine, &caller("carl", "ca-operator"), wanted, 50).await.expect("a list").len()
}

async fn tasks(portal: &Portal, of: &Caller) -> usize {
    instances::tasks(&portal.engine, of, 50).await.expect("a list").len()
}

#[test]
fn a_start_without_what_its_form_asks_for_begins_nothing() {
    let (world, certificate) = personalized();
    let portal = world.portal().clone();
    let checked = world.run(async move {
        let (alice, rita) = (caller("alice", "user"), caller("rita", "ra-operator"));
        let id: Uuid = certificate.parse().expect("an id");
        // The form is shown as often as somebody likes.
        for by in [&alice, &rita] {
            let form = portal.engine.form(by, REVOKE, Some(id)).await.expect("a form");
            assert_eq!(form.subject.expect("a subject").1["id"], json!(certificate));
            assert_eq!(form.open, None);
            assert_eq!(form.definition.start.form.as_ref().expect("a form").fields.len(), 1);
        }
        let wrong = [
            json!({ "certificate": certificate }),
            json!({ "certificate": certificate, "reason": "boredom" }),
            json!({ "certificate": certificate, "reason": " " }),
            json!({ "certificate": certificate, "reason": ["superseded"] }),
            json!({ "certificate": certificate, "reason": "superseded", "away": "issuing" }),
            json!({ "reason": "superseded" }),
        ];
        for arguments in wrong {
            let refused = portal.engine.start(&alice, REVOKE, given(arguments.clone()), None).await;
            let is_a_field = matches!(refused, Err(EngineError::Rejected(Rejection::Field { .. })));
            assert!(is_a_field, "{arguments}: {refused:?}");
        }
        // What is not theirs is not there, filled in or not.
        let bob = caller("bob", "user");
        let full = given(json!({ "certificate": certificate, "reason": "superseded" }));
        assert!(matches!(portal.engine.form(&bob, REVOKE, Some(id)).await, Err(EngineError::NotFound)));
        assert!(matches!(portal.engine.start(&bob, REVOKE, full, None).await, Err(EngineError::NotFound)));
        assert!(matches!(portal.engine.form(&alice, REVOKE, None).await, Err(EngineError::NotFound)));
        assert_eq!(count(&portal, REVOKE).await, 0);
        assert_eq!((tasks(&portal, &rita).await, tasks(&portal, &alice).await), (0, 0));
    });
    checked.expect("no armed place");
}

/// A directory that is away keeps the first revocation open.
#[test]
fn a_certificate_has_one_open_revocation_at_a_time() {
    let (world, certificate) = personalized();
    world.directory.stop();
    let portal = world.portal().clone();
    let begun = world.run(async move {
        let (alice, rita) = (caller("alice", "user"), caller("rita", "ra-operator"));
        let full = given(json!({ "certificate": certificate, "reason": "superseded" }));
        let key = |name: &str| Some(Key { key: name.to_owned(), digest: name.to_owned() });
        let first = portal.engine.start(&alice, REVOKE, full.clone(), key("one")).await.expect("started");
        let same = portal.engine.start(&alice, REVOKE, full.clone(), key("one")).await.expect("the same");
        let second = portal.engine.start(&rita, REVOKE, full, None).await.expect("the same");
        assert_eq!([same, second], [first, first]);
        let id = certificate.parse().expect("an id");
        assert_eq!(portal.engine.form(&rita, REVOKE, Some(id)).await.expect("a form").open, Some(first));
        assert_eq!(count(&portal, REVOKE).await, 1);
        assert_eq!(tasks(&portal, &rita).await, 0);
        first
    });
    world.directory.go_on();
    let end = world.settle(begun.expect("no armed place")).expect("no armed place");
    assert_eq!((end.status, end.state.as_str()), (Status::Success, "done"));
}

/// Another tree's part revokes it while a person's revocation is open: neither stands in the other's way.
#[test]
fn a_part_of_a_tree_holds_nothing_of_its_own() {
    let workflow = "workflow: trial
version: 1
title: Trial
start: { by: [system, user] }
see: [owner, ca-operator]
data:
  certificate: certificate
states:
  trial:
    run: revoke-certificate
    with: { certificate: certificate, reason: superseded }
    as: ca-operator
    next: { success: ended, otherwise: failed }
  ended: { end: success }
  failed: { end: failure }
";
    let world = World::new(Some(workflow));
    let certificate = world.personalize()["certificates"][0].clone();
    world.directory.stop();
    let full = given(json!({ "certificate": certificate["id"], "reason": "superseded" }));
    let portal = world.portal().clone();
    let started = world.run(async move { portal.engine.start(&caller("alice", "user"), REVOKE, full, None).await });
    let by_person = started.expect("no armed place").expect("started");
    let tree = world.begin("trial", &json!({ "certificate": certificate })).expect("no armed place");
    world.directory.go_on();
    for begun in [tree, by_person] {
        assert_eq!(world.settle(begun).expect("no armed place").status, Status::Success);
    }
}

/// Who starts a personalization leaves no task for others.
#[test]
fn a_personalization_asks_nobody_else() {
    let world = World::new(None);
    let portal = world.portal().clone();
    let checked = world.run(async move {
        let alice = caller("alice", "user");
        portal.engine.form(&alice, "personalize", None).await.expect("a form");
        assert_eq!(count(&portal, "personalize").await, 0);
        let id = portal.engine.start(&alice, "personalize", Map::new(), None).await.expect("started");
        for role in ["ra-operator", "ca-operator"] {
            assert_eq!(tasks(&portal, &caller("rita", role)).await, 0, "{role}");
        }
        let form = portal.engine.form(&alice, "personalize", None).await.expect("a form");
        assert_eq!(form.open, Some(id));
    });
    checked.expect("no armed place");
}
