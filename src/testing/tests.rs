//! The journeys of the built-in workflows, whole and killed at every place.

use sealwright_workflow::instance::{Status, Waiting};
use serde_json::{Map, json};
use time::Duration;

use super::World;
use super::card::Agent;
use super::node::caller;
use super::trial::{killed_at_each, killed_everywhere, undisturbed};
use crate::clock::Clock;
use crate::engine::EngineError;
use crate::store::{audits, certificates};

#[test]
fn a_card_is_personalized() {
    let world = World::new(None);
    let data = world.personalize();
    assert_eq!(data["certificates"].as_array().map(Vec::len), Some(2), "{data:#}");
    let effects = world.effects();
    assert_eq!(effects["stored"]["certificates"], json!({ "issued": 2 }));
    assert_eq!((&effects["card"], &effects["published"]), (&json!(["9a", "9c"]), &json!(2)));
}

/// The part's first activity is planned in the transaction that starts it, which is rolled back and run again.
#[test]
fn a_part_whose_first_plan_fails_is_stuck() {
    let workflow = "workflow: trial
version: 1
title: Trial
start: { by: [user, system] }
see: [owner, ca-operator]
repair: [ca-operator]
data:
  certificate: certificate
states:
  trial:
    run: revoke-certificate
    label: Trial
    with: { certificate: certificate, reason: superseded }
    as: ca-operator
    next: { otherwise: ended }
  ended: { end: success, label: Ended }
";
    let world = World::new(Some(workflow));
    let id = "5a1f0c9e-0000-4000-8000-000000000000";
    let unknown = json!({ "certificate": { "id": id, "serial": "00", "subject": "CN=x", "profile": "signature" } });
    let begun = world.begin("trial", &unknown).expect("no armed place");
    let end = world.settle(begun).expect("no armed place");
    assert!(end.is_stuck, "{end:?}");
}

#[test]
fn a_personalization_goes_on_after_every_kill() {
    let fresh = || (World::new(None), json!({}));
    let once = undisturbed(&fresh().0, "personalize", &json!({}));
    killed_everywhere(&once, fresh, "personalize");
}

/// On PostgreSQL an agent's report and the parts of a tree meet in other transactions than on SQLite.
#[test]
fn a_personalization_goes_on_after_kills_on_postgres() {
    let fresh = || (World::on_postgres(), json!({}));
    let once = undisturbed(&fresh().0, "personalize", &json!({}));
    killed_at_each(5, &once, fresh, "personalize");
}

/// A clock that was 300 days ahead dates what is of no use when it is right again: it is made anew, and can be revoked.
#[test]
fn a_certificate_that_has_not_begun_is_made_anew() {
    let world = World::new(None);
    let ahead = Duration::days(300);
    world.clock.advance(ahead);
    let early = world.personalize();
    world.clock.advance(-ahead);
    let now = world.personalize();
    for certificate in now["certificates"].as_array().expect("certificates") {
        assert!(!early["certificates"].as_array().expect("certificates").contains(certificate), "{now:#}");
    }
    // What is valid is not made anew.
    assert_eq!(world.personalize()["certificates"], now["certificates"]);
    let outstanding = world.run({
        let (store, at) = (world.portal().store.clone(), world.clock.now_ms());
        async move { certificates::held(store.read(), at, 0, 10).await.expect("certificates").len() }
    });
    assert_eq!(outstanding, Ok(4));
}

/// Nothing is signed and dated by a node whose clock is minutes away from the database's; it goes on when the clock is right.
#[test]
fn a_node_whose_clock_is_wrong_signs_nothing() {
    for wrong in [Duration::minutes(3), -Duration::hours(2)] {
        let world = World::new(None);
        world.clock.go_wrong(wrong);
        let begun = world.begin("personalize", &json!({})).expect("no armed place");
        let portal = world.portal().clone();
        let waiting = world.run({
            let card = world.card.clone();
            async move {
                let mut agent = Agent::new(&portal, card);
                loop {
                    agent.work(begun, "alice").await;
                    let view = portal.engine.view(&caller("carl", "ca-operator"), begun).await.expect("a view");
                    if view.tree.iter().any(|part| part.instance.waiting == Waiting::Condition) {
                        return portal.node_clock.is_right().await.expect("a time");
                    }
                }
            }
        });
        assert_eq!(waiting, Ok(false));
        assert_eq!(world.effects()["stored"]["certificates"]["issued"], json!(null), "{wrong}");
        world.clock.go_wrong(-wrong);
        let end = world.settle(begun).expect("no armed place");
        assert_eq!(end.status, Status::Success, "{end:?}");
    }
}

/// Whoever is refused again and again fills no table: what is no row of its own is summed up.
#[test]
fn refusals_of_a_person_are_bounded_and_summed_up() {
    let world = World::new(None);
    let (portal, clock) = (world.portal().clone(), world.clock.clone());
    let rows = world.run(async move {
        let alice = caller("alice", "user");
        for _ in 0..130 {
            let refused = portal.engine.start(&alice, "issue-crl", Map::new(), None).await;
            assert!(matches!(refused, Err(EngineError::Forbidden)), "{refused:?}");
        }
        let bob = portal.engine.start(&caller("bob", "user"), "issue-crl", Map::new(), None).await;
        assert!(bob.is_err());
        clock.advance(Duration::minutes(10));
        portal.refusals.sum_up(&portal.store, clock.now_ms()).await.expect("summed up");
        let store = portal.store.read();
        let refused = audits::of_event(store, "start-refused", 1000).await.expect("rows").len();
        (refused, audits::of_event(store, "refusals-summed-up", 10).await.expect("rows"))
    });
    let (refused, sums) = rows.expect("no armed place");
    assert_eq!(refused, 101);
    assert_eq!(sums.len(), 1);
    assert_eq!(sums[0].actor.as_deref(), Some("alice"));
    assert_eq!(sums[0].detail, Some(json!({ "why": "start", "count": 30 })));
}
