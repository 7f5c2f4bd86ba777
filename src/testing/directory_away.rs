//! A directory that is away while people start: nothing gives up before its deadline, and operators try again what has.

use sealwright_workflow::instance::{Failing, Status, Timer, Waiting};
use serde_json::{Map, json};
use time::Duration;
use uuid::Uuid;

use super::World;
use super::node::caller;
use crate::clock::Clock;
use crate::desk::instances;
use crate::engine::verbs::Repaired;
use crate::store::timers;

/// Lets so many tries fail, each at its time; gives what the instance then waits for, and how many the history tells of.
fn fail(world: &World, id: Uuid, tries: u32) -> (Failing, usize) {
    let (portal, clock) = (world.portal().clone(), world.clock.clone());
    let failed = world.run(async move {
        loop {
            let view = portal.engine.view(&caller("carl", "ca-operator"), id).await.expect("a view");
            let instance = &view.stored.instance;
            assert_eq!(instance.status, Status::Running);
            let Waiting::Activity { attempts, failing } = &instance.waiting else { panic!("{instance:?}") };
            if let Some(failing) = failing.as_ref().filter(|_| *attempts >= tries) {
                let told = view.histories[&id].iter().filter(|row| row.event == "failed").count();
                return (failing.clone(), told);
            }
            let retry = Timer::Retry.as_str();
            let next = timers::scheduled_after(portal.store.read(), retry, clock.now_ms(), 1).await.expect("timers");
            if let Some(timer) = next.first() {
                clock.advance(Duration::milliseconds(timer.due_at - clock.now_ms()));
                portal.engine.wake();
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    });
    failed.expect("no armed place")
}

/// Five tries were all once. The history does not grow by every one of them.
#[test]
fn a_personalization_waits_for_the_directory_as_long_as_its_deadline() {
    let world = World::new(None);
    world.directory.stop();
    let began = world.clock.now().unix_timestamp();
    let id = world.begin("personalize", &json!({})).expect("no armed place");
    let (failing, told) = fail(&world, id, 40);
    let now = world.clock.now().unix_timestamp();
    assert_eq!((failing.class.as_str(), failing.since), ("unavailable", began));
    assert!(now - began > 20 * 60 && failing.next >= now && failing.next <= now + 60, "{failing:?}, {now}");
    assert_eq!(told, 21);
    world.directory.go_on();
    assert_eq!(world.settle(id).expect("no armed place").status, Status::Success);
}

/// A node that is killed while it waits goes on where it was.
#[test]
fn tries_go_on_after_a_restart() {
    let mut world = World::new(None);
    world.directory.stop();
    let id = world.begin("personalize", &json!({})).expect("no armed place");
    let (before, _) = fail(&world, id, 6);
    world.restart();
    let (after, _) = fail(&world, id, 8);
    assert_eq!(before.since, after.since);
    world.directory.go_on();
    assert_eq!(world.settle(id).expect("no armed place").status, Status::Success);
}

/// What was revoked is revoked, also when the directory is away for longer than anybody waits.
#[test]
fn a_revocation_ends_when_the_directory_stays_away() {
    let world = World::new(None);
    let certificate = world.personalize()["certificates"][0]["id"].clone();
    world.directory.stop();
    let portal = world.portal().clone();
    let arguments =
        Map::from_iter([("certificate".to_owned(), certificate), ("reason".to_owned(), json!("superseded"))]);
    let started = world.run(async move {
        portal.engine.start(&caller("alice", "user"), "revoke-certificate", arguments, None).await.expect("started")
    });
    let began = world.clock.now();
    let end = world.settle(started.expect("no armed place")).expect("no armed place");
    assert_eq!((end.status, end.state.as_str()), (Status::Success, "still-published"));
    let taken = world.clock.now() - began;
    assert!(taken >= Duration::days(7) && taken < Duration::days(8), "{taken}");
    assert_eq!(world.effects()["stored"]["certificates"]["revoked"], json!(1));
}

/// Without `retry` one failure is enough.
const STUCK: &str = "workflow: trial
version: 1
title: Trial
start: { by: [user] }
see: [owner, ra-operator, ca-operator]
repair: [ca-operator]
states:
  look-up:
    do: directory.find-person
    with: { login: owner.login, require: [] }
    next: { otherwise: done }
  done: { end: success }
";

#[test]
fn operators_try_all_again_that_they_may_repair() {
    let world = World::new(Some(STUCK));
    world.directory.stop();
    let begun: Vec<Uuid> = ["alice", "bob", "carl"]
        .into_iter()
        .map(|login| world.begin_as(login, "trial", &json!({})).expect("no armed place"))
        .collect();
    for id in &begun {
        assert!(world.settle(*id).expect("no armed place").is_stuck);
    }
    let portal = world.portal().clone();
    let ids = begun.clone();
    let checked = world.run(async move {
        let (rita, carl) = (caller("rita", "ra-operator"), caller("carl", "ca-operator"));
        let stuck = instances::stuck(&portal.engine, &carl, 10).await.expect("a list");
        let causes = instances::stuck_for(&portal.engine, &stuck).await.expect("causes");
        assert!(ids.iter().all(|id| causes[id] == "unavailable"), "{causes:?}");
        // Who may see them and not repair them has none tried again; and nobody more than the bound at a time.
        assert_eq!(portal.engine.resume_stuck(&rita, 10).await.expect("tried"), Repaired::default());
        assert_eq!(portal.engine.resume_stuck(&carl, 2).await.expect("tried"), Repaired { tried: 2, failed: 0 });
    });
    checked.expect("no armed place");
    // The directory is still away.
    for id in &begun {
        assert!(world.settle(*id).expect("no armed place").is_stuck);
    }
    world.directory.go_on();
    let portal = world.portal().clone();
    let tried = world.run(async move { portal.engine.resume_stuck(&caller("carl", "ca-operator"), 10).await });
    assert_eq!(tried.expect("no armed place").expect("tried"), Repaired { tried: 3, failed: 0 });
    for id in &begun {
        assert_eq!(world.settle(*id).expect("no armed place").status, Status::Success);
    }
}
