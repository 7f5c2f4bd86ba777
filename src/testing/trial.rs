//! The three tests of every activity and card job: it succeeds twice with one effect, fails and unwinds, and is killed at
//! each of its fail points and goes on.

use serde_json::Value;
use uuid::Uuid;

use super::node::{End, Killed, World};

/// One activity or card job in a workflow of one state.
pub struct Trial {
    /// The workflow's data, a line each.
    pub data: &'static [&'static str],
    /// The state `trial`, a line each: `do: pki.sign`, `with: …`. It goes on to `ended` where it does not say otherwise.
    pub state: &'static [&'static str],
    /// Further states, as YAML.
    pub further_states: &'static str,
    /// Prepares the world, and gives the data that the workflow starts with.
    pub prepare: fn(&mut World) -> Value,
    /// The outcome of an undisturbed run.
    pub outcome: &'static str,
    pub failure: Failure,
}

/// How the activity or job fails, and what it comes to then.
pub enum Failure {
    /// Something that it needs is away, until it is back.
    Breakage { break_it: fn(&mut World), mend: fn(&mut World), end: Failed },
    /// It is given something else than what there is.
    Arguments { change: fn(&mut Value), end: Failed },
}

#[derive(Clone, Copy)]
pub enum Failed {
    /// It waits for an operator.
    Stuck,
    /// It comes to this outcome.
    By(&'static str),
}

/// Makes the three tests of an activity or card job from its [`Trial`].
macro_rules! trials {
    ($trial:expr) => {
        use serde_json::json;

        use crate::testing::trial::{Failed, Failure, Trial};

        const TRIAL: Trial = $trial;

        #[test]
        fn succeeds_twice_with_one_effect() {
            TRIAL.succeeds_twice_with_one_effect();
        }

        #[test]
        fn fails_and_unwinds() {
            TRIAL.fails_and_unwinds();
        }

        #[test]
        fn goes_on_after_every_kill() {
            TRIAL.goes_on_after_every_kill();
        }
    };
}
pub(crate) use trials;

impl Trial {
    /// Performed again by another node after one that could not record it, and reported again by an agent, it has one effect.
    pub fn succeeds_twice_with_one_effect(&self) {
        let once = self.undisturbed();
        assert_eq!(once.end.outcomes.last().map(String::as_str), Some(self.outcome), "{:?}", once.end);

        for place in ["engine.perform.after", "engine.report"] {
            let (mut world, arguments) = self.world();
            let (end, _) = journey(&mut world, "trial", &arguments, (place, 1));
            assert_eq!((end.status, &end.state), (once.end.status, &once.end.state), "{place}: {end:?}");
            assert_eq!(world.facts(), once.facts, "{place}");
        }
    }

    /// A failure has no effect; once what it needs is there, it goes on to what an undisturbed run does.
    pub fn fails_and_unwinds(&self) {
        let (mut world, mut arguments) = self.world();
        let before = world.effects();
        let end = match &self.failure {
            Failure::Breakage { break_it, end, .. } => {
                break_it(&mut world);
                *end
            }
            Failure::Arguments { change, end } => {
                change(&mut arguments);
                *end
            }
        };
        let id = world.begin("trial", &arguments).expect("no armed place");
        let failed = world.settle(id).expect("no armed place");
        match end {
            Failed::Stuck => assert!(failed.is_stuck, "{failed:?}"),
            Failed::By(outcome) => assert_eq!(failed.outcomes.last().map(String::as_str), Some(outcome), "{failed:?}"),
        }
        assert_eq!(world.effects(), before, "a failure has an effect");

        let Failure::Breakage { mend, .. } = &self.failure else { return };
        mend(&mut world);
        let id = match end {
            Failed::Stuck => {
                world.repair(id);
                id
            }
            Failed::By(_) => world.begin("trial", &arguments).expect("no armed place"),
        };
        let end = world.settle(id).expect("no armed place");
        assert_eq!(end.outcomes.last().map(String::as_str), Some(self.outcome), "{end:?}");
        assert_eq!(world.effects(), self.undisturbed().effects);
    }

    /// Killed at each place that an undisturbed run passes, each time that it passes it, and gone on with by a new node.
    pub fn goes_on_after_every_kill(&self) {
        let once = self.undisturbed();
        killed_everywhere(&once, || self.world(), "trial");
    }

    fn world(&self) -> (World, Value) {
        let mut world = World::new(Some(&self.workflow()));
        let arguments = (self.prepare)(&mut world);
        (world, arguments)
    }

    fn undisturbed(&self) -> Undisturbed {
        let (world, arguments) = self.world();
        undisturbed(&world, "trial", &arguments)
    }

    fn workflow(&self) -> String {
        let lines =
            |lines: &[&str], indent: &str| lines.iter().map(|line| format!("{indent}{line}\n")).collect::<String>();
        let next = if self.state.iter().any(|line| line.starts_with("next:")) {
            ""
        } else {
            "    next: { otherwise: ended }\n"
        };
        format!(
            "workflow: trial\nversion: 1\ntitle: Trial\nstart: {{ by: [user, system] }}\nsee: [owner, ca-operator]\n\
             repair: [ca-operator]\ndata:\n  unused: integer = 0\n{}states:\n  trial:\n{}    label: Trial\n{next}{}  \
             ended: {{ end: success, label: Ended }}\n",
            lines(self.data, "  "),
            lines(self.state, "    "),
            self.further_states
        )
    }
}

/// What a run without a kill came to.
pub struct Undisturbed {
    end: End,
    /// Everything that the run left, and how it is recorded.
    facts: Value,
    /// The same without the record of how it came about.
    effects: Value,
    /// The fail points that it passed, in order.
    places: Vec<&'static str>,
}

/// Runs a workflow to its rest.
pub fn undisturbed(world: &World, workflow: &'static str, arguments: &Value) -> Undisturbed {
    world.arm(None);
    let id = world.begin(workflow, arguments).expect("no armed place");
    let end = world.settle(id).expect("no armed place");
    assert!(!end.is_stuck, "{end:?}");
    Undisturbed { facts: world.facts(), effects: world.effects(), places: world.passed(), end }
}

/// Runs a workflow once for each place that the undisturbed run passed, kills the node there, and expects the same end.
pub fn killed_everywhere(once: &Undisturbed, fresh: impl Fn() -> (World, Value), workflow: &'static str) {
    killed_at_each(1, once, fresh, workflow);
}

/// The same at each `stride`th place.
pub fn killed_at_each(stride: usize, once: &Undisturbed, fresh: impl Fn() -> (World, Value), workflow: &'static str) {
    let (mut tried, mut killed) = (0, 0);
    for (index, place) in once.places.iter().enumerate().step_by(stride) {
        tried += 1;
        let times = once.places.iter().take(index + 1).filter(|passed| *passed == place).count();
        let (mut world, arguments) = fresh();
        let (end, was_killed) = journey(&mut world, workflow, &arguments, (place, times));
        killed += usize::from(was_killed);
        assert_eq!((end.status, &end.state), (once.end.status, &once.end.state), "killed at {place}:{times}: {end:?}");
        assert_eq!(world.facts(), once.facts, "killed at {place}:{times}");
    }
    // Polls of the engine may pass a place more or fewer times.
    assert!(killed * 10 >= tried * 8, "{killed} of {tried} places were reached");
}

/// Runs to the rest with a fail point armed, by a new node after the kill; begun again where nothing of it is in the database.
fn journey(world: &mut World, workflow: &'static str, arguments: &Value, place: (&'static str, usize)) -> (End, bool) {
    world.arm(Some(place));
    let id = match world.begin(workflow, arguments) {
        Ok(id) => id,
        Err(Killed) => {
            world.restart();
            let begun: Option<Uuid> = world.newest(workflow);
            begun.unwrap_or_else(|| world.begin(workflow, arguments).expect("no armed place"))
        }
    };
    let end = world.settle(id);
    // What the engine does beside the instance may reach the place as late as now.
    if world.disarm() {
        world.restart();
    }
    let end = end.unwrap_or_else(|Killed| world.settle(id).expect("no armed place"));
    (end, world.is_restarted())
}
