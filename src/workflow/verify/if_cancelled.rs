//! Wherever a certificate may have been issued and is not yet proved on its card, a cancellation has a way out that revokes it.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::catalog::{Catalog, CertificateEffect};
use crate::definition::{Definition, EndOutcome, Kind, Next, State};
use crate::diagnostic::Report;

const RULE: &str = "if-cancelled";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let world = World { workflows: context.workflows, catalog: context.catalog };
    let pending = world.pending(context.definition, 0);
    for state in &context.definition.states {
        let open = pending.contains(state.name.as_str()) || world.issues_and_goes_on(context.definition, state, 0);
        if open && !matches!(state.kind, Kind::End(_)) && state.if_cancelled.is_none() {
            report.add_with_hint(
                state.name.at,
                RULE,
                format!("a certificate may exist in `{}` that is not proved on its card", state.name.text),
                "name the state that revokes it: `if-cancelled: withdraw`; a state that must not be interrupted names itself",
            );
        }
    }
}

struct World<'a> {
    workflows: &'a BTreeMap<String, Definition>,
    catalog: &'a Catalog,
}

/// Deeper trees are refused by the rule `recursion` or do not occur.
const MAXIMUM_DEPTH: u8 = 16;

impl World<'_> {
    /// States that are entered with a certificate neither proved nor revoked.
    fn pending<'d>(&self, definition: &'d Definition, depth: u8) -> BTreeSet<&'d str> {
        let mut pending = BTreeSet::new();
        let mut before = usize::MAX;
        while before != pending.len() {
            before = pending.len();
            for state in &definition.states {
                let inside = pending.contains(state.name.as_str());
                for next in state.ways() {
                    if self.leaves_pending(state, next, inside, depth) {
                        pending.extend(next.to.states().map(|word| word.as_str()));
                    }
                }
                if inside {
                    pending.extend(state.deadline.iter().map(|deadline| deadline.to.as_str()));
                    pending
                        .extend(state.if_cancelled.iter().flat_map(|target| target.states()).map(|word| word.as_str()));
                }
            }
        }
        pending
    }

    fn leaves_pending(&self, state: &State, next: &Next, inside: bool, depth: u8) -> bool {
        match &state.kind {
            Kind::Do(call) | Kind::Card(call) => {
                let effect = self.effect(state);
                let by = |outcome: &str| call.next.get(outcome).is_some_and(|way| way.at == next.at);
                match effect {
                    CertificateEffect::Issues(outcome) => inside || by(outcome),
                    CertificateEffect::Proves(outcome) => inside && !by(outcome),
                    CertificateEffect::Revokes => false,
                    CertificateEffect::None => inside,
                }
            }
            Kind::Run(run) => {
                let success = run.next.get("success").is_some_and(|way| way.at == next.at);
                match self.workflows.get(&run.workflow.text) {
                    Some(child) if self.revokes(child) => false,
                    Some(child) => inside || (success && self.ends_pending(child, depth + 1)),
                    None => inside,
                }
            }
            _ => inside,
        }
    }

    /// Whether the state itself may issue and does not go straight to an end with it.
    fn issues_and_goes_on(&self, definition: &Definition, state: &State, depth: u8) -> bool {
        let (outcome, next) = match &state.kind {
            Kind::Do(call) | Kind::Card(call) => match self.effect(state) {
                CertificateEffect::Issues(outcome) => (outcome, &call.next),
                _ => return false,
            },
            Kind::Run(run) => match self.workflows.get(&run.workflow.text) {
                Some(child) if self.ends_pending(child, depth + 1) => ("success", &run.next),
                _ => return false,
            },
            _ => return false,
        };
        let is_end = |name: &str| definition.state(name).is_some_and(|state| matches!(state.kind, Kind::End(_)));
        next.get(outcome).is_some_and(|way| !way.to.states().all(|word| is_end(word.as_str())))
    }

    fn effect(&self, state: &State) -> CertificateEffect {
        let signature = match &state.kind {
            Kind::Do(call) => self.catalog.activity(&call.name.text),
            Kind::Card(call) => self.catalog.job(&call.name.text),
            _ => None,
        };
        signature.map(|of| of.certificate).unwrap_or_default()
    }

    fn revokes(&self, child: &Definition) -> bool {
        child.states.iter().any(|state| self.effect(state) == CertificateEffect::Revokes)
    }

    /// Whether a successful child hands on a certificate that is not proved.
    fn ends_pending(&self, child: &Definition, depth: u8) -> bool {
        if depth > MAXIMUM_DEPTH {
            return true;
        }
        let pending = self.pending(child, depth);
        child.states.iter().any(|state| {
            let success = matches!(&state.kind, Kind::End(end) if end.outcome == EndOutcome::Success);
            success && pending.contains(state.name.as_str())
        })
    }
}
