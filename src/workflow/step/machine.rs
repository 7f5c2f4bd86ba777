//! The machine: one instance, the effects it has gathered, and what each event does to both.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::rights::{checked_fields, is_claimed_by_another, may_act, may_claim, needed};
use super::scope::{Scope, fields_below, person_field};
use super::sentence::fill;
use super::{Rejection, Step, unfit};
use crate::definition::{
    Action, Argument, ArgumentValue, Call, Definition, EndOutcome, Kind, Next, Outcomes, Path, RESERVED_ACTIONS, State,
    Target,
};
use crate::guard::{Budget, evaluate, lookup};
use crate::instance::{Actor, Approval, Cancelling, Effect, Event, Failing, Instance, Status, Timer, Waiting};

pub(super) struct Machine<'a> {
    pub definition: &'a Definition,
    pub instance: Instance,
    pub effects: Vec<Effect>,
    pub now: OffsetDateTime,
}

impl<'a> Machine<'a> {
    pub fn finish(self) -> Step {
        Step { instance: self.instance, effects: self.effects }
    }

    pub fn apply(&mut self, state: &'a State, event: Event) -> Result<(), Rejection> {
        match event {
            Event::Acted { step, action, actor, fields, shown } => {
                self.current(step)?;
                let action = self.action(state, &action)?;
                if !may_act(action, &actor, &self.instance) {
                    return Err(Rejection::Forbidden { action: action.name.text.clone() });
                }
                if is_claimed_by_another(action, &actor, &self.instance) {
                    return Err(Rejection::Claimed);
                }
                let given = checked_fields(&action.fields, fields)?;
                if !self.approved(action, actor, shown)? {
                    return Ok(());
                }
                self.leave(state, &action.next, &Scope::Fields(given))
            }
            Event::Claimed { step, actor } => {
                self.current(step)?;
                if !may_claim(state, &actor, &self.instance) {
                    return Err(Rejection::Forbidden { action: RESERVED_ACTIONS[2].to_owned() });
                }
                if self.instance.claimed_by.is_some() {
                    return Err(Rejection::Claimed);
                }
                self.instance.claimed_by = Some(actor.person);
                Ok(())
            }
            Event::Released { step, actor } => {
                self.current(step)?;
                // Whoever could claim it may free it: the one who did may be away.
                if !may_claim(state, &actor, &self.instance) || self.instance.claimed_by.is_none() {
                    return Err(Rejection::Forbidden { action: RESERVED_ACTIONS[3].to_owned() });
                }
                self.instance.claimed_by = None;
                Ok(())
            }
            Event::Completed { step, outcome, result } => {
                self.current(step)?;
                let (Kind::Do(Call { next, .. }) | Kind::Card(Call { next, .. })) = &state.kind else {
                    return Err(self.not_expected());
                };
                match next.get(&outcome) {
                    Some(next) => self.leave(state, next, &Scope::Result(result)),
                    // It was added after this version was released: an operator decides.
                    None => {
                        self.stick("outcome".to_owned());
                        Ok(())
                    }
                }
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
            Event::Cancelled { to } => self.cancel(state, to),
            Event::Resumed { step } => {
                self.current(step)?;
                match (&self.instance.waiting, &state.kind) {
                    (Waiting::Operator { .. }, Kind::Do(call)) => {
                        self.instance.status = Status::Running;
                        self.perform(call, 0, None)
                    }
                    (Waiting::Operator { .. }, Kind::Card(call)) => {
                        self.instance.status = Status::Running;
                        self.queue(call)
                    }
                    _ => Err(self.not_expected()),
                }
            }
        }
    }

    fn current(&self, step: u64) -> Result<(), Rejection> {
        if self.instance.step == step { Ok(()) } else { Err(Rejection::Stale) }
    }

    pub(super) fn not_expected(&self) -> Rejection {
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

    /// Counts a yes; whether it was the last one that is needed. Approvals of something else than what was shown now are void.
    fn approved(&mut self, action: &Action, actor: Actor, shown: String) -> Result<bool, Rejection> {
        if action.people.is_none() {
            return Ok(true);
        }
        let approvals = &mut self.instance.approvals;
        approvals.retain(|approval| approval.shown == shown);
        let name = &action.name.text;
        if approvals.iter().any(|approval| approval.action == *name && approval.person == actor.person) {
            return Err(Rejection::Twice { action: name.clone() });
        }
        approvals.push(Approval { action: name.clone(), person: actor.person, shown });
        let count = approvals.iter().filter(|approval| approval.action == *name).count();
        // The next one looks at it with fresh eyes.
        self.instance.claimed_by = None;
        Ok(count >= needed(action, &self.instance))
    }

    pub(super) fn outcome(&self, next: &'a Outcomes, outcome: &str) -> Result<&'a Next, Rejection> {
        next.get(outcome).ok_or_else(|| Rejection::UnknownOutcome {
            state: self.instance.state.clone(),
            outcome: outcome.to_owned(),
        })
    }

    fn failed(&mut self, state: &'a State, class: String, jitter: u32) -> Result<(), Rejection> {
        let (Kind::Do(call), Waiting::Activity { attempts, failing }) = (&state.kind, &self.instance.waiting) else {
            return Err(self.not_expected());
        };
        // Asked to end while it was tried: a failure ends the trying.
        if matches!(self.instance.cancelling, Some(Cancelling::Asked { .. })) {
            return self.leave_cancelled(state);
        }
        let attempts = attempts.saturating_add(1);
        let Some(retry) = call.retry.as_ref().filter(|retry| retry.after.iter().any(|word| word.text == class)) else {
            self.stick(class);
            return Ok(());
        };
        if retry.attempts.is_some_and(|most| attempts >= most) {
            self.stick(class);
            return Ok(());
        }
        let wait = retry.wait(attempts);
        // Up to a fifth shorter, never longer than stated.
        let mut wait: time::Duration = wait - wait / 5 * f64::from(jitter.min(1000)) / 1000.0;
        // The last try is made when the time is over. What was done by then counts, so nothing is broken off.
        if let Some(deadline) = &state.deadline {
            let left = self.entered_at() + deadline.after - self.now;
            if left <= time::Duration::ZERO {
                return self.go(&deadline.to.text);
            }
            wait = wait.min(left);
        }
        let since = failing.as_ref().map_or(self.now.unix_timestamp(), |failing| failing.since);
        let failing = Failing { class, since, next: (self.now + wait).unix_timestamp() };
        self.instance.waiting = Waiting::Activity { attempts, failing: Some(failing) };
        self.arm(Timer::Retry, wait);
        Ok(())
    }

    fn entered_at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.instance.entered_at).unwrap_or(self.now)
    }

    fn stick(&mut self, class: String) {
        self.instance.status = Status::Stuck;
        self.instance.waiting = Waiting::Operator { class };
    }

    fn timer(&mut self, state: &'a State, step: u64, timer: Timer) -> Result<(), Rejection> {
        match timer {
            Timer::Retry => {
                self.current(step)?;
                match (&state.kind, &self.instance.waiting) {
                    (Kind::Do(call), Waiting::Activity { attempts, failing }) => {
                        self.perform(call, *attempts, failing.clone())
                    }
                    _ => Err(self.not_expected()),
                }
            }
            Timer::StateDeadline => {
                self.current(step)?;
                let deadline = state.deadline.as_ref().filter(|_| !matches!(state.kind, Kind::Do(_)));
                let deadline = deadline.ok_or(Rejection::Stale)?;
                // A card's job may be stuck: what comes now is not.
                self.instance.status = Status::Running;
                self.withdraw_job();
                self.go(&deadline.to.text)
            }
            Timer::Deadline => {
                let deadline = self.definition.deadline.as_ref().ok_or(Rejection::Stale)?;
                self.cancel(state, Some(deadline.to.text.clone()))
            }
        }
    }

    fn cancel(&mut self, state: &'a State, to: Option<String>) -> Result<(), Rejection> {
        let is_stuck = self.instance.status == Status::Stuck;
        // What is on its way out already goes on; what has got stuck on it may be told again.
        if self.instance.cancelling.is_some() && !is_stuck {
            return Err(Rejection::Stale);
        }
        // A state that names itself goes on: what it does must not be left half done. What is stuck there goes on once it is resumed; refused, it
        // would refuse the end of the whole tree.
        if state.goes_on_when_cancelled() {
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
    pub(super) fn leave(&mut self, state: &'a State, next: &'a Next, scope: &Scope) -> Result<(), Rejection> {
        for (field, path) in &next.keep {
            let value = scope.read(path, self);
            self.instance.data.insert(field.text.clone(), value);
        }
        if let Some(held) = &next.holds {
            self.hold(&held.text)?;
        }
        let asked = matches!(self.instance.cancelling, Some(Cancelling::Asked { .. }));
        if asked && !self.definition.succeeds_now(next) {
            return self.leave_cancelled(state);
        }
        self.aim(&next.to)
    }

    fn aim(&mut self, target: &'a Target) -> Result<(), Rejection> {
        if target.guards.is_empty() {
            return self.go(&target.otherwise.text);
        }
        let mut known = self.instance.data.clone();
        for (name, person) in [("owner", &self.instance.owner), ("requester", &self.instance.requester)] {
            known.insert(name.to_owned(), json!({ "login": person.login }));
        }
        for (guard, state) in &target.guards {
            let holds = evaluate(&guard.expression, &known, &mut Budget::default())
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

    pub fn enter(&mut self, state: &'a State) -> Result<(), Rejection> {
        self.instance.state.clone_from(&state.name.text);
        self.instance.step += 1;
        self.instance.approvals.clear();
        self.instance.claimed_by = None;
        self.instance.entered_at = self.now.unix_timestamp();
        if let Some(deadline) = &state.deadline
            && !matches!(state.kind, Kind::Do(_))
        {
            self.arm(Timer::StateDeadline, deadline.after);
        }
        match &state.kind {
            Kind::Ask(_) => {
                self.instance.waiting = Waiting::Person;
                Ok(())
            }
            Kind::Do(call) => self.perform(call, 0, None),
            Kind::Card(call) => self.queue(call),
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
                let subject = wait.subject.as_ref().map(|path| self.read(path));
                let subject = subject.and_then(|subject| subject.as_str().map(str::to_owned));
                self.effects.push(Effect::Watch { condition: wait.until.text.clone(), subject });
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

    fn queue(&mut self, call: &Call) -> Result<(), Rejection> {
        let parameters = self.arguments(&call.with, None)?;
        self.instance.waiting = Waiting::Job;
        self.effects.push(Effect::Queue { job: call.name.text.clone(), parameters });
        Ok(())
    }

    fn perform(&mut self, call: &Call, attempts: u32, failing: Option<Failing>) -> Result<(), Rejection> {
        let parameters = self.arguments(&call.with, None)?;
        self.instance.waiting = Waiting::Activity { attempts, failing };
        self.effects.push(Effect::Perform { activity: call.name.text.clone(), parameters });
        Ok(())
    }

    pub(super) fn arguments(
        &self,
        with: &BTreeMap<String, Argument>,
        variable: Option<(&str, &Value)>,
    ) -> Result<Map<String, Value>, Rejection> {
        with.iter()
            .map(|(name, argument)| {
                let value = match &argument.value {
                    ArgumentValue::Literal(value) => value.clone(),
                    ArgumentValue::Path(path) => self.read_beside(path, variable),
                    ArgumentValue::Paths(paths) => paths.iter().map(|path| self.read_beside(path, variable)).collect(),
                    ArgumentValue::Word(_) | ArgumentValue::Words(_) => {
                        return Err(unfit("the definition was not linked"));
                    }
                };
                Ok((name.clone(), value))
            })
            .collect()
    }

    /// What a path names, where a fork's variable stands beside the data.
    fn read_beside(&self, path: &Path, variable: Option<(&str, &Value)>) -> Value {
        match variable {
            Some((variable, element)) if path.root == variable => fields_below(element, &path.fields),
            _ => self.read(path),
        }
    }

    pub fn read(&self, path: &Path) -> Value {
        match path.root.as_str() {
            "owner" => person_field(&self.instance.owner, &path.fields),
            "requester" => person_field(&self.instance.requester, &path.fields),
            root => lookup(std::iter::once(root).chain(path.fields.iter().map(String::as_str)), &self.instance.data),
        }
    }

    pub fn hold(&mut self, what: &str) -> Result<(), Rejection> {
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

    pub fn arm(&mut self, timer: Timer, after: time::Duration) {
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
