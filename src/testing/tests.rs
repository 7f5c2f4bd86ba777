//! The journeys of the built-in workflows, whole and killed at every place.

use sealwright_protocol::Slot;
use sealwright_workflow::instance::Status;
use serde_json::{Value, json};

use super::World;
use super::trial::{Start, Trial};

/// Alice's personalization: the built-in workflows, from the look-up to the publication.
fn personalization() -> Trial {
    Trial {
        workflow: None,
        prepare: |_| Start { login: "alice", role: "user", workflow: "personalize", arguments: json!({}) },
        effect: what_there_is,
    }
}

/// How many certificates there are, by status, on the card and in the directory.
fn what_there_is(world: &World) -> Value {
    let on_card = [Slot::AUTHENTICATION, Slot::SIGNATURE].map(|slot| world.card.certificate(slot).is_some());
    json!({ "certificates": world.certificates(), "on_card": on_card, "published": world.directory.published("alice") })
}

#[test]
fn a_card_is_personalized() {
    let mut world = World::new(None);
    let start = (personalization().prepare)(&mut world);
    let id = world.begin(start.login, start.role, start.workflow, start.arguments).expect("no armed place");
    let end = world.settle(id).expect("no armed place");
    assert_eq!((end.status, end.state.as_str()), (Status::Success, "done"), "{end:?}");
    assert_eq!(
        what_there_is(&world),
        json!({ "certificates": { "issued": 2 }, "on_card": [true, true], "published": 2 })
    );
}

#[test]
fn a_personalization_goes_on_after_every_kill() {
    personalization().goes_on_after_every_kill();
}
