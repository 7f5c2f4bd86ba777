//! Pairings whose agent refuses, goes away and comes back.

use sealwright_protocol::{Capabilities, Reader};
use serde_json::json;
use uuid::Uuid;

use super::World;
use crate::audit::Origin;
use crate::cards::pairing::PairingState;
use crate::cards::pairings::{AgentFacts, Held, PairingEnd, PairingError, PairingRecord, Pairings, Presence};
use crate::clock::Clock;

fn origin() -> Origin {
    Origin { login: Some("alice".to_owned()), ..Origin::system("agent") }
}

fn start(world: &World) -> (Pairings, Uuid) {
    let root = world.begin("personalize", &json!({})).expect("no armed place");
    (world.portal().pairings.clone(), root)
}

/// An agent has redeemed a code; neither side has confirmed.
async fn redeem(pairings: &Pairings, root: Uuid) -> PairingRecord {
    let code = pairings.code_for(root, "session", "cookie", "alice");
    let id = code.id;
    pairings.offer(code, &origin()).await.expect("offered");
    let (host, number, capabilities) = ("pc".to_owned(), "123 456".to_owned(), Capabilities::known());
    let agent = AgentFacts { host, key: vec![7; 32], readers: Vec::new(), number, capabilities };
    pairings.redeem(id, agent, &origin()).await.expect("redeemed")
}

async fn confirm(pairings: &Pairings, row: &PairingRecord) -> PairingRecord {
    pairings.confirm_by_person(row.id, row.root, "session", &origin()).await.expect("confirmed");
    pairings.confirm_by_agent(row.id, &origin()).await.expect("confirmed")
}

async fn find(pairings: &Pairings, id: Uuid) -> PairingRecord {
    pairings.find(id).await.expect("read").expect("a pairing")
}

#[test]
fn a_pairing_that_is_not_confirmed_ends_with_its_connection() {
    let world = World::new(None);
    let (pairings, root) = start(&world);
    let ended = world.run(async move {
        for end in [PairingEnd::Broken, PairingEnd::Declined] {
            let row = redeem(&pairings, root).await;
            assert!(pairings.leave(Held::from(&row), end).await.expect("written"));
            let over = find(&pairings, row.id).await;
            assert_eq!((over.state, over.ended_by), (PairingState::Ended, Some(end)));
            let confirmed = pairings.confirm_by_person(row.id, root, "session", &origin()).await;
            assert!(matches!(confirmed, Err(PairingError::Ended)));
            assert!(!pairings.leave(Held::from(&row), end).await.expect("nothing to write"));
        }
    });
    ended.expect("no armed place");
}

#[test]
fn a_confirmation_that_was_lost_with_the_connection_counts_when_the_agent_comes_back() {
    let world = World::new(None);
    let (pairings, root) = start(&world);
    let done = world.run(async move {
        let row = redeem(&pairings, root).await;
        pairings.leave(Held::from(&row), PairingEnd::Broken).await.expect("written");
        let back = pairings.hold(row.id, Capabilities::known(), &origin()).await.expect("held");
        assert_eq!((back.state, back.ended_by, back.gone_at), (PairingState::Redeemed, None, None));
        assert!(back.confirmed_by_agent && back.epoch > row.epoch);
        pairings.confirm_by_person(row.id, root, "session", &origin()).await.expect("confirmed");
        assert_eq!(find(&pairings, row.id).await.state, PairingState::Confirmed);
    });
    done.expect("no armed place");
}

#[test]
fn a_refused_pairing_and_one_that_a_new_code_has_ended_do_not_come_back() {
    let world = World::new(None);
    let (pairings, root) = start(&world);
    let done = world.run(async move {
        let refused = redeem(&pairings, root).await;
        pairings.leave(Held::from(&refused), PairingEnd::Declined).await.expect("written");
        let broken = redeem(&pairings, root).await;
        pairings.leave(Held::from(&broken), PairingEnd::Broken).await.expect("written");
        redeem(&pairings, root).await;
        for row in [refused, broken] {
            let held = pairings.hold(row.id, Capabilities::known(), &origin()).await;
            assert!(matches!(held, Err(PairingError::Ended)), "{:?}", row.ended_by);
        }
    });
    done.expect("no armed place");
}

#[test]
fn a_confirmed_pairing_tells_when_its_agent_went_and_came_back() {
    let world = World::new(None);
    let (pairings, root) = start(&world);
    let clock = world.clock.clone();
    let done = world.run(async move {
        let row = confirm(&pairings, &redeem(&pairings, root).await).await;
        assert_eq!(Presence::of(&row, clock.now_ms()), Presence::Connected);
        pairings.leave(Held::from(&row), PairingEnd::Broken).await.expect("written");
        let left = find(&pairings, row.id).await;
        assert_eq!((left.state, left.ended_by), (PairingState::Confirmed, None));
        assert_eq!(Presence::of(&left, clock.now_ms()), Presence::Gone(clock.now_ms()));

        let back = pairings.hold(row.id, Capabilities::known(), &origin()).await.expect("held");
        assert_eq!(Presence::of(&back, clock.now_ms()), Presence::Connected);
        // The end of the first connection is noticed late: it is not the second one's.
        assert!(!pairings.leave(Held::from(&row), PairingEnd::Broken).await.expect("fenced off"));
        assert_eq!(Presence::of(&find(&pairings, row.id).await, clock.now_ms()), Presence::Connected);
    });
    done.expect("no armed place");
}

#[test]
fn the_agent_of_a_node_that_was_killed_is_gone_when_its_lease_has_expired() {
    let world = World::new(None);
    let (pairings, root) = start(&world);
    let clock = world.clock.clone();
    let done = world.run(async move {
        let row = confirm(&pairings, &redeem(&pairings, root).await).await;
        clock.advance(time::Duration::seconds(60));
        let readers = [Reader { name: "reader".to_owned(), card: Some("20000001".to_owned()) }];
        pairings.seen(Held::from(&row), Some(&readers)).await.expect("written");
        let seen_at = clock.now_ms();
        clock.advance(time::Duration::seconds(60));
        let seen = find(&pairings, row.id).await;
        assert_eq!(Presence::of(&seen, clock.now_ms()), Presence::Connected);
        assert!(seen.readers.is_some_and(|told| told.to_string().contains("20000001")));
        clock.advance(time::Duration::seconds(60));
        assert_eq!(Presence::of(&find(&pairings, row.id).await, clock.now_ms()), Presence::Gone(seen_at));
    });
    done.expect("no armed place");
}
