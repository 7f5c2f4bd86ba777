//! The step function: what one event does to one instance.
//!
//! | waiting for | accepts | because |
//! |---|---|---|
//! | a person | `Acted`, state deadline | the action's rights are checked here |
//! | an activity | `Completed`, `Failed`, retry timer | a cancellation waits for the outcome: the effect may have happened |
//! | a job | `Completed`, state deadline | a cancellation leaves at once: the job is withdrawn |
//! | children | `ChildEnded` | a cancellation is handed on and waits for them |
//! | a condition | `ConditionHeld`, state deadline | |
//! | an operator | `Resumed` | |
//!
//! Every event names the step it belongs to; a stale one changes nothing ([`Rejection::Stale`]).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::definition::{
    Action, Argument, ArgumentValue, Call, Default as FieldDefault, Definition, EndOutcome, Fork, Kind, Next, Outcomes,
    Party, Path, Run, State, Target,
};
use crate::guard::{Budget, evaluate, lookup};
use crate::instance::{
    Actor, Cancelling, ChildEnd, Children, Effect, Event, Instance, Parent, Person, Status, Timer, Waiting,
};

/// An accepted event: the next instance and what is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub instance: Instance,
    pub effects: Vec<Effect>,
}

/// Why an event changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the event belongs to a step that is over")]
    Stale,
    #[error("the state `{state}` does not wait for this")]
    NotExpected { state: String },
    #[error("the state `{state}` has no action `{action}`")]
    UnknownAction { state: String, action: String },
    #[error("`{action}` may not be taken by this person in this role")]
    Forbidden { action: String },
    #[error("the field `{field}` is missing or not as asked for")]
    Field { field: String },
    #[error("`{outcome}` is no outcome of the state `{state}`")]
    UnknownOutcome { state: String, outcome: String },
    #[error("the definition does not fit the instance: {0}")]
    Definition(String),
}

/// What is needed to begin an instance.
#[derive(Clone, Debug)]
pub struct Begin {
    pub id: Uuid,
    pub owner: Person,
    pub requester: Person,
    pub role: String,
    pub parent: Option<Parent>,
    pub arguments: Map<String, Value>,
    /// Values of the configuration, by `policy.` path.
    pub policy: BTreeMap<String, Value>,
}

/// Begins an instance at the first state of the definition.
///
/// # Errors
/// [`Rejection::Field`] when a required field is not given, [`Rejection::Definition`] when the definition names what is not there.
pub fn begin(definition: &Definition, begin: Begin, now: OffsetDateTime) -> Result<Step, Rejection> {
    let first = definition.states.first().ok_or_else(|| unfit("there is no state"))?;
    let mut data = Map::new();
    for (name, field) in &definition.data {
        let value = match (begin.arguments.get(name), &field.default) {
            (Some(value), _) => value.clone(),
            (None, Some(FieldDefault::Literal(value))) => value.clone(),
            (None, Some(FieldDefault::Policy(path))) => {
                begin.policy.get(path).cloned().ok_or_else(|| unfit(&format!("no policy `{path}`")))?
            }
            (None, None) => Value::Null,
        };
        data.insert(name.clone(), value);
    }
    let instance = Instance {
        id: begin.id,
        workflow: definition.name.text.clone(),
        version: definition.version,
        state: first.name.text.clone(),
        step: 0,
        entered_at: 0,
        status: Status::Running,
        waiting: Waiting::Nothing,
        cancelling: None,
        data,
        owner: begin.owner,
        requester: begin.requester,
        role: begin.role,
        parent: begin.parent,
        result: None,
        say: None,
    };
    let mut machine = Machine { definition, instance, effects: Vec::new(), now };
    for held in &definition.holds {
        machine.hold(&held.text)?;
    }
    if let Some(deadline) = &definition.deadline {
        machine.arm(Timer::Deadline, deadline.after);
    }
    machine.enter(first)?;
    Ok(machine.finish())
}

/// Applies one event.
///
/// # Errors
/// A [`Rejection`] leaves the instance as it was.
pub fn step(definition: &Definition, instance: Instance, event: Event, now: OffsetDateTime) -> Result<Step, Rejection> {
    if !instance.is_open() {
        return Err(Rejection::Stale);
    }
    let state =
        definition.state(&instance.state).ok_or_else(|| unfit(&format!("there is no state `{}`", instance.state)))?;
    let mut machine = Machine { definition, instance, effects: Vec::new(), now };
    machine.apply(state, event)?;
    Ok(machine.finish())
}

struct Machine<'a> {
    definition: &'a Definition,
    instance: Instance,
    effects: Vec<Effect>,
    now: OffsetDateTime,
}

impl<'a> Machine<'a> {
    fn finish(self) -> Step {
        Step { instance: self.instance, effects: self.effects }
    }

    fn apply(&mut self, state: &'a State, event: Event) -> Result<(), Rejection> {
        match event {
            Event::Acted { step, action, actor, fields } => {
                self.current(step)?;
                let action = self.action(state, &action)?;
                if !may_act(action, &actor, &self.instance) {
                    return Err(Rejection::Forbidden { action: action.name.text.clone() });
                }
                let given = checked_fields(action, fields)?;
                self.leave(state, &action.next, &Scope::Fields(given))
            }
            Event::Completed { step, outcome, result } => {
                self.current(step)?;
                let (Kind::Do(Call { next, .. }) | Kind::Card(Call { next, .. })) = &state.kind else {
                    return Err(self.not_expected());
                };
                let next = self.outcome(next, &outcome)?;
                self.leave(state, next, &Scope::Result(result))
            }
            Event::Failed { step, class, jitter } => {
                self.current(step)?;
                self.failed(state, class, jitter)
            }
            Event::TimerFired { step, timer } => self.timer(state, step, timer),
            Event::ChildEnded { step, index, end } => {
                self.current(step)?;
                self.child_ended(state, index, end)
            }
            Event::ConditionHeld { step } => {
                self.current(step)?;
                match &state.kind {
                    Kind::Wait(wait) => self.leave(state, &wait.next, &Scope::Nothing),
                    _ => Err(self.not_expected()),
                }
            }
            Event::Cancelled => self.cancel(state, None),
            Event::Resumed { step } => {
                self.current(step)?;
                match (&self.instance.waiting, &state.kind) {
                    (Waiting::Operator { .. }, Kind::Do(call)) => {
                        self.instance.status = Status::Running;
                        self.perform(call, 0)
                    }
                    _ => Err(self.not_expected()),
                }
            }
        }
    }

    fn current(&self, step: u64) -> Result<(), Rejection> {
        if self.instance.step == step { Ok(()) } else { Err(Rejection::Stale) }
    }

    fn not_expected(&self) -> Rejection {
        Rejection::NotExpected { state: self.instance.state.clone() }
    }

    fn action(&self, state: &'a State, name: &str) -> Result<&'a Action, Rejection> {
        let Kind::Ask(ask) = &state.kind else {
            return Err(self.not_expected());
        };
        ask.actions
            .iter()
            .find(|action| action.name.text == name)
            .ok_or_else(|| Rejection::UnknownAction { state: state.name.text.clone(), action: name.to_owned() })
    }

    fn outcome(&self, next: &'a Outcomes, outcome: &str) -> Result<&'a Next, Rejection> {
        next.get(outcome).ok_or_else(|| Rejection::UnknownOutcome {
            state: self.instance.state.clone(),
            outcome: outcome.to_owned(),
        })
    }

    fn failed(&mut self, state: &'a State, class: String, jitter: u32) -> Result<(), Rejection> {
        let (Kind::Do(call), Waiting::Activity { attempts }) = (&state.kind, &self.instance.waiting) else {
            return Err(self.not_expected());
        };
        let attempts = attempts + 1;
        let retry = call
            .retry
            .as_ref()
            .filter(|retry| attempts < retry.attempts && retry.after.iter().any(|word| word.text == class));
        match retry {
            Some(retry) => {
                let wait = retry.wait(attempts);
                // Up to a fifth shorter, never longer than stated.
                let wait = wait - wait / 5 * f64::from(jitter.min(1000)) / 1000.0;
                self.instance.waiting = Waiting::Activity { attempts };
                self.arm(Timer::Retry, wait);
            }
            None => {
                self.instance.status = Status::Stuck;
                self.instance.waiting = Waiting::Operator { class };
            }
        }
        Ok(())
    }

    fn timer(&mut self, state: &'a State, step: u64, timer: Timer) -> Result<(), Rejection> {
        match timer {
            Timer::Retry => {
                self.current(step)?;
                match (&state.kind, &self.instance.waiting) {
                    (Kind::Do(call), Waiting::Activity { attempts }) => self.perform(call, *attempts),
                    _ => Err(self.not_expected()),
                }
            }
            Timer::StateDeadline => {
                self.current(step)?;
                let deadline = state.deadline.as_ref().ok_or(Rejection::Stale)?;
                self.withdraw_job();
                self.go(&deadline.to.text)
            }
            Timer::Deadline => {
                let deadline = self.definition.deadline.as_ref().ok_or(Rejection::Stale)?;
                self.cancel(state, Some(deadline.to.text.clone()))
            }
        }
    }

    fn child_ended(&mut self, state: &'a State, index: usize, end: ChildEnd) -> Result<(), Rejection> {
        let stopping = self.instance.cancelling.is_some();
        let at_once = match &state.kind {
            Kind::Run(_) => 1,
            Kind::Fork(fork) => usize::try_from(fork.at_once).unwrap_or(usize::MAX),
            _ => return Err(self.not_expected()),
        };
        let Waiting::Children(children) = &mut self.instance.waiting else {
            return Err(self.not_expected());
        };
        if index >= children.started || children.ended.contains_key(&index) {
            return Err(Rejection::Stale);
        }
        children.ended.insert(index, end);
        if children.running() > 0 {
            return Ok(());
        }
        let all_started = children.started == children.arguments.len();
        if !stopping && !all_started {
            return self.start_children(state, at_once);
        }
        self.join(state)
    }

    /// Every child that was started has ended.
    fn join(&mut self, state: &'a State) -> Result<(), Rejection> {
        let Waiting::Children(children) = self.instance.waiting.clone() else {
            return Err(self.not_expected());
        };
        match &state.kind {
            Kind::Run(run) => {
                let end = children.ended.get(&0).ok_or_else(|| unfit("the child is missing"))?;
                let next = self.outcome(&run.next, end.outcome.as_str())?;
                self.leave(state, next, &Scope::Child(Value::Object(end.result.clone())))
            }
            Kind::Fork(fork) => {
                let all = children.ended.len() == children.arguments.len()
                    && children.ended.values().all(|end| end.outcome == EndOutcome::Success);
                let outcome = if all { "all-succeeded" } else { "not-all-succeeded" };
                let next = self.outcome(&fork.run.next, outcome)?;
                let results = children.ended.values().map(|end| Value::Object(end.result.clone())).collect();
                self.leave(state, next, &Scope::Children(results))
            }
            _ => Err(self.not_expected()),
        }
    }

    fn cancel(&mut self, state: &'a State, to: Option<String>) -> Result<(), Rejection> {
        if self.instance.cancelling.is_some() {
            return Err(Rejection::Stale);
        }
        // A state that names itself goes on: what it does must not be left half done.
        if state
            .if_cancelled
            .as_ref()
            .is_some_and(|target| target.guards.is_empty() && target.otherwise.text == state.name.text)
        {
            self.instance.cancelling = Some(Cancelling::Leaving { to });
            return Ok(());
        }
        self.instance.cancelling = Some(Cancelling::Asked { to });
        match &self.instance.waiting {
            Waiting::Activity { .. } => Ok(()),
            Waiting::Children(children) if children.running() > 0 => {
                self.effects.push(Effect::CancelChildren);
                Ok(())
            }
            _ => {
                self.instance.status = Status::Running;
                self.withdraw_job();
                self.leave_cancelled(state)
            }
        }
    }

    /// Takes the way out that the state declares for a cancellation, or ends.
    fn leave_cancelled(&mut self, state: &'a State) -> Result<(), Rejection> {
        let to = match self.instance.cancelling.take() {
            Some(Cancelling::Asked { to } | Cancelling::Leaving { to }) => to,
            None => None,
        };
        self.instance.cancelling = Some(Cancelling::Leaving { to: to.clone() });
        if let Some(target) = &state.if_cancelled {
            return self.aim(target);
        }
        match to {
            Some(to) => self.go(&to),
            None => {
                self.end(EndOutcome::Cancelled, None, Map::new());
                Ok(())
            }
        }
    }

    /// Keeps what the outcome brings and goes on.
    fn leave(&mut self, state: &'a State, next: &'a Next, scope: &Scope) -> Result<(), Rejection> {
        for (field, path) in &next.keep {
            let value = scope.read(path, self);
            self.instance.data.insert(field.text.clone(), value);
        }
        if let Some(held) = &next.holds {
            self.hold(&held.text)?;
        }
        let asked = matches!(self.instance.cancelling, Some(Cancelling::Asked { .. }));
        if asked && !self.ends_now(next) {
            return self.leave_cancelled(state);
        }
        self.aim(&next.to)
    }

    /// Whether the way leads straight to an end: then what was done counts, cancelled or not.
    fn ends_now(&self, next: &Next) -> bool {
        next.to
            .states()
            .all(|name| self.definition.state(&name.text).is_some_and(|state| matches!(state.kind, Kind::End(_))))
    }

    fn aim(&mut self, target: &'a Target) -> Result<(), Rejection> {
        for (guard, state) in &target.guards {
            let holds = evaluate(&guard.expression, &self.instance.data, &mut Budget::default())
                .ok_or_else(|| unfit(&format!("the guard `{guard}` has no value")))?;
            if holds {
                return self.go(&state.text);
            }
        }
        self.go(&target.otherwise.text)
    }

    fn go(&mut self, name: &str) -> Result<(), Rejection> {
        let definition = self.definition;
        let state = definition.state(name).ok_or_else(|| unfit(&format!("there is no state `{name}`")))?;
        self.enter(state)
    }

    fn enter(&mut self, state: &'a State) -> Result<(), Rejection> {
        self.instance.state.clone_from(&state.name.text);
        self.instance.step += 1;
        self.instance.entered_at = self.now.unix_timestamp();
        if let Some(deadline) = &state.deadline {
            self.arm(Timer::StateDeadline, deadline.after);
        }
        match &state.kind {
            Kind::Ask(_) => {
                self.instance.waiting = Waiting::Person;
                Ok(())
            }
            Kind::Do(call) => self.perform(call, 0),
            Kind::Card(call) => {
                let parameters = self.arguments(&call.with, None)?;
                self.instance.waiting = Waiting::Job;
                self.effects.push(Effect::Queue { job: call.name.text.clone(), parameters });
                Ok(())
            }
            Kind::Run(run) => {
                let arguments = vec![self.arguments(&run.with, None)?];
                self.begin_children(state, arguments, 1)
            }
            Kind::Fork(fork) => {
                let arguments = self.fork_arguments(fork)?;
                self.begin_children(state, arguments, usize::try_from(fork.at_once).unwrap_or(usize::MAX))
            }
            Kind::Wait(wait) => {
                self.instance.waiting = Waiting::Condition;
                self.effects.push(Effect::Watch { condition: wait.until.text.clone() });
                Ok(())
            }
            Kind::End(end) => {
                let result = end.result.iter().map(|(name, path)| (name.clone(), self.read(path))).collect();
                let say = end.say.as_ref().map(|say| fill(say, &self.instance.data));
                self.end(end.outcome, say, result);
                Ok(())
            }
        }
    }

    fn perform(&mut self, call: &Call, attempts: u32) -> Result<(), Rejection> {
        let parameters = self.arguments(&call.with, None)?;
        self.instance.waiting = Waiting::Activity { attempts };
        self.effects.push(Effect::Perform { activity: call.name.text.clone(), parameters });
        Ok(())
    }

    fn begin_children(
        &mut self,
        state: &'a State,
        arguments: Vec<Map<String, Value>>,
        at_once: usize,
    ) -> Result<(), Rejection> {
        self.instance.waiting = Waiting::Children(Children { arguments, ..Children::default() });
        self.start_children(state, at_once)
    }

    fn start_children(&mut self, state: &'a State, at_once: usize) -> Result<(), Rejection> {
        let run = match &state.kind {
            Kind::Run(run) => run,
            Kind::Fork(fork) => &fork.run,
            _ => return Err(self.not_expected()),
        };
        let role = child_role(run);
        let Waiting::Children(children) = &mut self.instance.waiting else {
            return Err(unfit("no children"));
        };
        while children.running() < at_once.max(1)
            && let Some(arguments) = children.arguments.get(children.started)
        {
            self.effects.push(Effect::Start {
                index: children.started,
                workflow: run.workflow.text.clone(),
                arguments: arguments.clone(),
                role: role.clone(),
            });
            children.started += 1;
        }
        // A fork over an empty list has nothing to wait for.
        if children.arguments.is_empty() { self.join(state) } else { Ok(()) }
    }

    fn fork_arguments(&self, fork: &Fork) -> Result<Vec<Map<String, Value>>, Rejection> {
        let Value::Array(elements) = self.read(&fork.over) else {
            return Err(unfit(&format!("`{}` is no list", fork.over)));
        };
        elements.iter().map(|element| self.arguments(&fork.run.with, Some((&fork.variable.text, element)))).collect()
    }

    fn arguments(
        &self,
        with: &BTreeMap<String, Argument>,
        variable: Option<(&str, &Value)>,
    ) -> Result<Map<String, Value>, Rejection> {
        with.iter()
            .map(|(name, argument)| {
                let value = match &argument.value {
                    ArgumentValue::Literal(value) => value.clone(),
                    ArgumentValue::Path(path) => match variable {
                        Some((variable, element)) if path.root == variable => fields_below(element, &path.fields),
                        _ => self.read(path),
                    },
                    ArgumentValue::Word(_) | ArgumentValue::Words(_) => {
                        return Err(unfit("the definition was not linked"));
                    }
                };
                Ok((name.clone(), value))
            })
            .collect()
    }

    fn read(&self, path: &Path) -> Value {
        match path.root.as_str() {
            "owner" => person_field(&self.instance.owner, &path.fields),
            "requester" => person_field(&self.instance.requester, &path.fields),
            root => lookup(std::iter::once(root).chain(path.fields.iter().map(String::as_str)), &self.instance.data),
        }
    }

    fn hold(&mut self, what: &str) -> Result<(), Rejection> {
        let key = if what == "owner" {
            self.instance.owner.login.clone()
        } else {
            match self.instance.data.get(what).and_then(|value| value.get("id")).and_then(Value::as_str) {
                Some(id) => id.to_owned(),
                None => return Err(unfit(&format!("`{what}` has no id to hold"))),
            }
        };
        self.effects.push(Effect::Hold { what: what.to_owned(), key });
        Ok(())
    }

    fn arm(&mut self, timer: Timer, after: time::Duration) {
        self.effects.push(Effect::Arm { timer, at: self.now + after });
    }

    fn withdraw_job(&mut self) {
        if self.instance.waiting == Waiting::Job {
            self.effects.push(Effect::Withdraw { step: self.instance.step });
        }
    }

    fn end(&mut self, outcome: EndOutcome, say: Option<String>, result: Map<String, Value>) {
        self.instance.status = outcome.into();
        self.instance.waiting = Waiting::Nothing;
        self.instance.say = say;
        self.instance.result = Some(result);
        self.effects.push(Effect::End { outcome });
    }
}

/// What an outcome brings, for `keep`.
enum Scope {
    Nothing,
    Result(Value),
    Child(Value),
    Children(Vec<Value>),
    Fields(Map<String, Value>),
}

impl Scope {
    fn read(&self, path: &Path, machine: &Machine<'_>) -> Value {
        match (self, path.root.as_str()) {
            (Scope::Result(value), "result") | (Scope::Child(value), "child") => fields_below(value, &path.fields),
            (Scope::Children(values), "children") => {
                values.iter().map(|value| fields_below(value, &path.fields)).filter(|value| !value.is_null()).collect()
            }
            (Scope::Fields(fields), "fields") => lookup(path.fields.iter().map(String::as_str), fields),
            _ => machine.read(path),
        }
    }
}

/// Whether `actor` may take `action` now.
pub fn may_act(action: &Action, actor: &Actor, instance: &Instance) -> bool {
    action.by.iter().any(|party| is_party(party, actor, instance))
        && !action.never.iter().any(|party| is_party(party, actor, instance))
}

/// Whether `actor` is the named party of this instance.
pub fn is_party(party: &Party, actor: &Actor, instance: &Instance) -> bool {
    match party {
        Party::Owner => actor.person == instance.owner,
        Party::Requester => actor.person == instance.requester,
        Party::Role(role) => actor.role == role.text,
    }
}

fn checked_fields(action: &Action, mut given: Map<String, Value>) -> Result<Map<String, Value>, Rejection> {
    let mut checked = Map::new();
    for input in &action.fields {
        let wrong = || Rejection::Field { field: input.name.text.clone() };
        let value = match given.remove(&input.name.text) {
            None | Some(Value::Null) => Value::Null,
            Some(Value::String(text)) if text.trim().is_empty() => Value::Null,
            Some(Value::String(text)) => {
                let length = text.chars().count();
                let clean = !text.chars().any(|letter| letter.is_control() && letter != '\n' && letter != '\r');
                if length < input.length.0 || length > input.length.1 || !clean {
                    return Err(wrong());
                }
                Value::String(text)
            }
            Some(_) => return Err(wrong()),
        };
        if value.is_null() && !input.input_type.is_optional() {
            return Err(wrong());
        }
        checked.insert(input.name.text.clone(), value);
    }
    match given.keys().next() {
        Some(unknown) => Err(Rejection::Field { field: unknown.clone() }),
        None => Ok(checked),
    }
}

fn child_role(run: &Run) -> Option<String> {
    match &run.role {
        Party::Role(role) => Some(role.text.clone()),
        Party::Owner | Party::Requester => None,
    }
}

fn fields_below(value: &Value, fields: &[String]) -> Value {
    let mut current = Some(value);
    for field in fields {
        current = current.and_then(|value| value.get(field));
    }
    current.cloned().unwrap_or(Value::Null)
}

fn person_field(person: &Person, fields: &[String]) -> Value {
    match fields {
        [field] if field == "login" => Value::from(person.login.clone()),
        _ => Value::Null,
    }
}

/// Replaces `{field.part}` in a sentence.
pub fn fill(sentence: &str, data: &Map<String, Value>) -> String {
    let mut out = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}') {
            Some((path, tail)) => {
                match lookup(path.split('.'), data) {
                    Value::String(text) => out.push_str(&text),
                    Value::Null => {}
                    other => out.push_str(&other.to_string()),
                }
                rest = tail;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn unfit(why: &str) -> Rejection {
    Rejection::Definition(why.to_owned())
}
