//! The journeys of the built-in workflows, whole and killed at every place.

use serde_json::json;

use super::World;
use super::trial::{killed_at_each, killed_everywhere, undisturbed};

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
