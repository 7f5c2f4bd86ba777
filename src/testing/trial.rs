//! The three tests of every activity and card job.

use super::node::{End, Killed, World};
use serde_json::Value;
use uuid::Uuid;

/// One activity or card job: the workflow that does it, and what it leaves behind.
pub struct Trial {
    /// The workflow `trial`, as YAML; the built-in workflows without one.
    pub workflow: Option<String>,
    /// Prepares the world and says what the trial starts with.
    pub prepare: fn(&mut World) -> Start,
    /// What the effect is seen by: the same after one run, however often parts of it were repeated.
    pub effect: fn(&World) -> Value,
}

/// How a trial starts.
pub struct Start {
    pub login: &'static str,
    pub role: &'static str,
    pub workflow: &'static str,
    pub arguments: Value,
}

/// The workflow `trial` with one state that does this, and ends by every outcome.
pub fn one_state(kind: &str, name: &str, data: &str, with: &str) -> String {
    format!(
        "workflow: trial
version: 1
title: Trial
start: {{ by: [user, ca-operator, system] }}
see: [owner, ca-operator]
repair: [ca-operator]

data:
{data}

states:
  trial:
    {kind}: {name}
    label: Trial
    with: {{ {with} }}
    next: {{ otherwise: ended }}

  ended: {{ end: success, label: Ended }}
"
    )
}

impl Trial {
    /// Performed twice, as after a node that died before it could record, it has one effect and one outcome.
    pub fn succeeds_twice_with_one_effect(&self, outcome: &str) {
        let (end, effect, _) = self.undisturbed();
        assert_eq!(end.outcomes.last().map(String::as_str), Some(outcome), "{end:?}");

        for place in ["engine.perform.after", "engine.report"] {
            let mut world = World::new(self.workflow.as_deref());
            let start = (self.prepare)(&mut world);
            world.arm(Some((place, 1)));
            let again = self.run(&mut world, &start);
            assert_eq!((&again.status, &again.state), (&end.status, &end.state), "{place}: {again:?}");
            assert_eq!((self.effect)(&world), effect, "{place}");
        }
    }

    /// Without what it needs it has no effect, and waits for an operator or ends by `outcome`; once that is back it goes on to
    /// what an undisturbed run does.
    pub fn fails_and_unwinds(&self, break_it: fn(&mut World), mend: fn(&mut World), failed: Failed) {
        let (undisturbed, effect, _) = self.undisturbed();
        let mut world = World::new(self.workflow.as_deref());
        let start = (self.prepare)(&mut world);
        let before = (self.effect)(&world);
        break_it(&mut world);
        world.arm(None);
        let id = begin(&world, &start).expect("no armed place");
        let end = world.settle(id).expect("no armed place");
        match failed {
            Failed::Stuck => assert!(end.is_stuck, "{end:?}"),
            Failed::By(outcome) => assert_eq!(end.outcomes.last().map(String::as_str), Some(outcome), "{end:?}"),
        }
        assert_eq!((self.effect)(&world), before, "a failure has an effect");

        mend(&mut world);
        let id = match failed {
            Failed::Stuck => {
                world.repair(id);
                id
            }
            Failed::By(_) => begin(&world, &start).expect("no armed place"),
        };
        let end = world.settle(id).expect("no armed place");
        assert_eq!(end.state, undisturbed.state, "{end:?}");
        assert_eq!((self.effect)(&world), effect);
    }

    /// Killed at each place that an undisturbed run passes, each time that it passes it, and gone on with by a new node.
    pub fn goes_on_after_every_kill(&self) {
        let (end, effect, places) = self.undisturbed();
        assert!(!places.is_empty());
        for (index, place) in places.iter().enumerate() {
            let times = places.iter().take(index + 1).filter(|passed| *passed == place).count();
            let mut world = World::new(self.workflow.as_deref());
            let start = (self.prepare)(&mut world);
            world.arm(Some((place, times)));
            let again = self.run(&mut world, &start);
            assert_eq!(
                (&again.status, &again.state),
                (&end.status, &end.state),
                "killed at {place}:{times}: {again:?}"
            );
            assert_eq!((self.effect)(&world), effect, "killed at {place}:{times}");
        }
    }

    fn undisturbed(&self) -> (End, Value, Vec<&'static str>) {
        let mut world = World::new(self.workflow.as_deref());
        let start = (self.prepare)(&mut world);
        world.arm(None);
        let id = begin(&world, &start).expect("no armed place");
        let end = world.settle(id).expect("no armed place");
        assert!(!end.is_stuck, "{end:?}");
        ((end), (self.effect)(&world), world.passed())
    }

    /// Runs to the end, by a new node after each kill; begun again where nothing of it is in the database.
    fn run(&self, world: &mut World, start: &Start) -> End {
        let mut begun = begin(world, start);
        let mut id = match begun {
            Ok(id) => Some(id),
            Err(Killed) => {
                world.restart();
                world.newest(start.workflow)
            }
        };
        if id.is_none() {
            begun = begin(world, start);
            id = begun.ok();
        }
        let id = id.expect("begun");
        match world.settle(id) {
            Ok(end) => end,
            Err(Killed) => {
                world.restart();
                world.settle(id).expect("no armed place")
            }
        }
    }
}

/// How a trial fails.
#[derive(Clone, Copy)]
pub enum Failed {
    /// It waits for an operator.
    Stuck,
    /// It comes to this outcome.
    By(&'static str),
}

fn begin(world: &World, start: &Start) -> Result<Uuid, Killed> {
    world.begin(start.login, start.role, start.workflow, start.arguments.clone())
}
