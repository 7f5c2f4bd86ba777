//! Scenarios: what is put in, what comes out, without any server. They are a workflow's tests and its examples.
//!
//! ```yaml
//! workflow: personalize
//! scenario: two certificates in one sitting
//! given: { owner: alice, policy: { personalization.slots: [] } }
//! steps:
//!   - effect: do directory.find-person
//!     answer: { found: { id: p1 } }
//! ends: success in done
//! ```
//!
//! A step names the effect that is pending and one of: `answer` (an outcome, with its result; a list for a fork), `fails` (a class of
//! failure), `deadline: true`, `deadline-of-all: true`, `retried: true`, `cancel: true` (by the parent), `stop: true` (by whom `cancel` names),
//! `resumed: true`, `holds: true`, or `act` with `by`, `role`, `fields`. `after: 7d` lets so much time pass before it happens. `keeps` says what the data is at the end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::definition::{Definition, EndOutcome};
use crate::diagnostic::Report;
use crate::instance::{Actor, ChildEnd, Effect, Event, Instance, Person, Timer, Waiting};
use crate::parse::{Node, NodeKind, read_tree};
use crate::span;
use crate::step::{Begin, Step, begin, step};

/// The words of a scenario, of what it is given, and of a step: any other would be a check that nobody makes.
const WORDS: [&str; 6] = ["workflow", "scenario", "given", "steps", "ends", "keeps"];
const GIVEN: [&str; 4] = ["owner", "requester", "policy", "data"];
const OF_A_STEP: [&str; 15] = [
    "effect",
    "after",
    "answer",
    "fails",
    "deadline",
    "deadline-of-all",
    "retried",
    "cancel",
    "stop",
    "resumed",
    "holds",
    "act",
    "by",
    "role",
    "fields",
];

/// What a scenario that held has shown.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    pub workflow: String,
    pub states: BTreeSet<String>,
}

/// Why a scenario does not hold, in words for its author.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// Runs a scenario's text against the definition that `find` gives for its workflow.
///
/// # Errors
/// [`Failed`] with the first step that does not hold.
pub fn run<'a>(source: &str, find: impl Fn(&str) -> Option<&'a Definition>) -> Result<Passed, Failed> {
    let mut report = Report::new("scenario");
    let tree = read_tree(source, &mut report);
    let Some(Value::Object(scenario)) = tree.filter(|_| report.is_empty()).map(|node| json(&node)) else {
        let problems: Vec<String> = report.into_diagnostics().iter().map(ToString::to_string).collect();
        return Err(Failed(format!("no scenario: {}", problems.join("; "))));
    };
    known("the scenario", &scenario, &WORDS)?;
    if let Some(given) = scenario.get("given").and_then(Value::as_object) {
        known("given", given, &GIVEN)?;
    }
    let workflow = text(&scenario, "workflow")?;
    let definition = find(workflow).ok_or_else(|| Failed(format!("there is no workflow `{workflow}`")))?;
    let mut play = Play::begin(definition, scenario.get("given").unwrap_or(&Value::Null))?;
    let steps = scenario.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
    for (index, step) in steps.iter().enumerate() {
        play.step(step).map_err(|Failed(why)| Failed(format!("step {}: {why}", index + 1)))?;
    }
    let expected = text(&scenario, "ends")?;
    let found = format!("{} in {}", play.instance.status.as_str(), play.instance.state);
    if expected != found {
        return Err(Failed(format!("ends: expected `{expected}`, found `{found}`")));
    }
    if let Some(kept) = scenario.get("keeps").and_then(Value::as_object) {
        for (name, value) in kept {
            let found = play.instance.data.get(name).unwrap_or(&Value::Null);
            if found != value {
                return Err(Failed(format!("keeps: `{name}` is {found}, expected {value}")));
            }
        }
    }
    Ok(Passed { workflow: workflow.to_owned(), states: play.states })
}

struct Play<'a> {
    definition: &'a Definition,
    instance: Instance,
    effects: Vec<Effect>,
    now: OffsetDateTime,
    states: BTreeSet<String>,
}

impl<'a> Play<'a> {
    fn begin(definition: &'a Definition, given: &Value) -> Result<Self, Failed> {
        let owner = given.get("owner").and_then(Value::as_str).unwrap_or("alice");
        let requester = given.get("requester").and_then(Value::as_str).unwrap_or(owner);
        let policy: BTreeMap<String, Value> = given
            .get("policy")
            .and_then(Value::as_object)
            .map(|policy| policy.iter().map(|(path, value)| (path.clone(), value.clone())).collect())
            .unwrap_or_default();
        let start = Begin {
            id: Uuid::nil(),
            owner: Person::new(owner),
            requester: Person::new(requester),
            role: "user".to_owned(),
            parent: None,
            arguments: given.get("data").and_then(Value::as_object).cloned().unwrap_or_default(),
            policy,
        };
        let now = OffsetDateTime::UNIX_EPOCH;
        let first = begin(definition, start, now).map_err(|error| Failed(error.to_string()))?;
        let states = BTreeSet::from([first.instance.state.clone()]);
        Ok(Self { definition, instance: first.instance, effects: first.effects, now, states })
    }

    fn step(&mut self, written: &Value) -> Result<(), Failed> {
        let said = written.as_object().ok_or_else(|| Failed("it is no map".to_owned()))?;
        known("the step", said, &OF_A_STEP)?;
        let (expected, found) = (text(said, "effect")?, self.pending());
        if found != expected {
            return Err(Failed(format!("expected `{expected}`, found `{found}`")));
        }
        if let Some(after) = said.get("after") {
            let span = after.as_str().and_then(span::parse);
            self.now += span.ok_or_else(|| Failed(format!("`after` is no span of time: {after}")))?;
        }
        for event in self.events(written)? {
            self.now += Duration::seconds(1);
            let Step { instance, effects } = step(self.definition, self.instance.clone(), event, self.now)
                .map_err(|error| Failed(error.to_string()))?;
            self.states.insert(instance.state.clone());
            self.instance = instance;
            self.effects = effects;
        }
        Ok(())
    }

    /// What the instance waits for, in the words of a scenario.
    fn pending(&self) -> String {
        let state = self.definition.state(&self.instance.state);
        match (&self.instance.waiting, state.map(|state| &state.kind)) {
            (Waiting::Children(children), Some(kind)) => {
                let name = match kind {
                    crate::definition::Kind::Run(run) => run.workflow.text.clone(),
                    crate::definition::Kind::Fork(fork) => fork.run.workflow.text.clone(),
                    _ => String::new(),
                };
                match kind {
                    crate::definition::Kind::Fork(_) => match children.arguments.len() {
                        1 => format!("fork {name}, 1 child"),
                        count => format!("fork {name}, {count} children"),
                    },
                    _ => format!("run {name}"),
                }
            }
            (Waiting::Operator { class }, _) => format!("stuck {class}"),
            (_, Some(crate::definition::Kind::Do(call))) => format!("do {}", call.name.text),
            (_, Some(crate::definition::Kind::Card(call))) => format!("card {}", call.name.text),
            (_, Some(crate::definition::Kind::Ask(_))) => format!("ask {}", self.instance.state),
            (_, Some(crate::definition::Kind::Wait(wait))) => format!("wait {}", wait.until.text),
            _ => "nothing".to_owned(),
        }
    }

    fn events(&self, written: &Value) -> Result<Vec<Event>, Failed> {
        let step = self.instance.step;
        if let Some(answer) = written.get("answer") {
            return self.answer(answer);
        }
        if let Some(class) = written.get("fails").and_then(Value::as_str) {
            return Ok(vec![Event::Failed { step, class: class.to_owned(), jitter: 0 }]);
        }
        if let Some(action) = written.get("act").and_then(Value::as_str) {
            let actor = Actor {
                person: Person::new(written.get("by").and_then(Value::as_str).unwrap_or(&self.instance.owner.login)),
                role: written.get("role").and_then(Value::as_str).unwrap_or("user").to_owned(),
            };
            let fields = written.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
            let shown = String::new();
            return Ok(vec![Event::Acted { step, action: action.to_owned(), actor, fields, shown }]);
        }
        for (key, event) in [
            ("deadline", Event::TimerFired { step, timer: Timer::StateDeadline }),
            ("deadline-of-all", Event::TimerFired { step, timer: Timer::Deadline }),
            ("retried", Event::TimerFired { step, timer: Timer::Retry }),
            ("cancel", Event::Cancelled { to: None }),
            ("stop", Event::Cancelled { to: self.definition.cancel.as_ref().map(|cancel| cancel.to.text.clone()) }),
            ("resumed", Event::Resumed { step }),
            ("holds", Event::ConditionHeld { step }),
        ] {
            if written.get(key).is_some() {
                return Ok(vec![event]);
            }
        }
        Err(Failed("the step says nothing that happens".to_owned()))
    }

    fn answer(&self, answer: &Value) -> Result<Vec<Event>, Failed> {
        let step = self.instance.step;
        if let Waiting::Children(children) = &self.instance.waiting {
            let ends: Vec<&Value> = match answer {
                Value::Array(ends) => ends.iter().collect(),
                one => vec![one],
            };
            return ends
                .into_iter()
                .enumerate()
                .map(|(offset, end)| {
                    let (outcome, result) = outcome_of(end)?;
                    let outcome = EndOutcome::ALL
                        .into_iter()
                        .find(|known| known.as_str() == outcome)
                        .ok_or_else(|| Failed(format!("`{outcome}` is no end of a child")))?;
                    let result = result.as_object().cloned().unwrap_or_default();
                    let index = children.ended.len() + offset;
                    Ok(Event::ChildEnded { step, index, end: ChildEnd { outcome, result } })
                })
                .collect();
        }
        let (outcome, result) = outcome_of(answer)?;
        Ok(vec![Event::Completed { step, outcome, result }])
    }
}

/// `replaced`, or `{ found: { … } }`.
fn outcome_of(answer: &Value) -> Result<(String, Value), Failed> {
    match answer {
        Value::String(outcome) => Ok((outcome.clone(), Value::Null)),
        Value::Object(named) if named.len() == 1 => {
            let (outcome, result) = named.iter().next().ok_or_else(|| Failed("an empty answer".to_owned()))?;
            Ok((outcome.clone(), result.clone()))
        }
        _ => Err(Failed("an answer is one outcome, with or without a result".to_owned())),
    }
}

fn known(what: &str, map: &Map<String, Value>, words: &[&str]) -> Result<(), Failed> {
    match map.keys().find(|key| !words.contains(&key.as_str())) {
        Some(unknown) => Err(Failed(format!("{what} has nothing that is called `{unknown}`"))),
        None => Ok(()),
    }
}

fn text<'v>(map: &'v Map<String, Value>, key: &str) -> Result<&'v str, Failed> {
    map.get(key).and_then(Value::as_str).ok_or_else(|| Failed(format!("`{key}` is missing")))
}

/// YAML as JSON: a plain scalar that reads as JSON is that, every other one is text.
fn json(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Scalar { text, plain } => {
            let read = if *plain { serde_json::from_str(text).ok() } else { None };
            read.unwrap_or_else(|| Value::from(text.clone()))
        }
        NodeKind::List(nodes) => nodes.iter().map(json).collect(),
        NodeKind::Map(pairs) => pairs
            .iter()
            .filter_map(|(key, value)| match &key.kind {
                NodeKind::Scalar { text, .. } => Some((text.clone(), json(value))),
                _ => None,
            })
            .collect::<Map<_, _>>()
            .into(),
    }
}
