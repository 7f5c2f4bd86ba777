//! Wherever a certificate may have been issued and is not yet proved on its card, a cancellation has a way out that revokes it.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::catalog::{Catalog, CertificateEffect};
use crate::definition::{Definition, EndOutcome, Kind, Next, Outcomes, Run, State};
use crate::diagnostic::Report;

const RULE: &str = "if-cancelled";

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let world = World::new(context.workflows, context.catalog);
    let pending = world.pending(context.definition);
    for state in &context.definition.states {
        let open = pending.contains(state.name.as_str()) || world.issues_and_goes_on(context.definition, state);
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
    /// Workflows that, when they succeed, hand on a certificate that is not proved.
    handing_on: BTreeSet<&'a str>,
}

impl<'a> World<'a> {
    fn new(workflows: &'a BTreeMap<String, Definition>, catalog: &'a Catalog) -> Self {
        let mut world = Self { workflows, catalog, handing_on: BTreeSet::new() };
        // A parent may hand on what its child did: until nothing is added.
        let mut before = usize::MAX;
        while before != world.handing_on.len() {
            before = world.handing_on.len();
            for (name, definition) in workflows {
                if world.ends_pending(definition) {
                    world.handing_on.insert(name.as_str());
                }
            }
        }
        world
    }

    /// States that are entered with a certificate neither proved nor revoked.
    fn pending<'d>(&self, definition: &'d Definition) -> BTreeSet<&'d str> {
        let mut pending = BTreeSet::new();
        let mut before = usize::MAX;
        while before != pending.len() {
            before = pending.len();
            for state in &definition.states {
                let inside = pending.contains(state.name.as_str());
                for next in state.ways() {
                    if self.leaves_pending(state, next, inside) {
                        pending.extend(next.to.states().map(|word| word.as_str()));
                    }
                }
                // A try that failed may have issued one, and the deadline ends the trying.
                if inside || self.issues_and_goes_on(definition, state) {
                    pending.extend(state.deadline.iter().map(|deadline| deadline.to.as_str()));
                }
                // A cancellation that waited for the outcome leaves with what it brought.
                if inside || self.issues_and_goes_on(definition, state) {
                    pending
                        .extend(state.if_cancelled.iter().flat_map(|target| target.states()).map(|word| word.as_str()));
                }
            }
        }
        pending
    }

    fn leaves_pending(&self, state: &State, next: &Next, inside: bool) -> bool {
        let leads = |outcomes: &Outcomes, outcome: &str| outcomes.get(outcome).is_some_and(|way| way.at == next.at);
        // What settles it is named: by `otherwise` come other outcomes too.
        let is_named = |outcomes: &Outcomes, outcome: &str| {
            outcomes.named.iter().any(|(name, way)| name.text == outcome && way.at == next.at)
        };
        match &state.kind {
            Kind::Do(call) | Kind::Card(call) => match self.effect(state) {
                CertificateEffect::Issues(outcome) => inside || leads(&call.next, outcome),
                CertificateEffect::Proves(outcome) => inside && !is_named(&call.next, outcome),
                CertificateEffect::Revokes => false,
                CertificateEffect::None => inside,
            },
            // A child that was to revoke has not when it fails, is cancelled, or somebody keeps the certificate.
            Kind::Run(run) => {
                let is_revoked = self.revokes(run) && is_named(&run.next, "success");
                (inside && !is_revoked) || (self.hands_on(run) && leads(&run.next, "success"))
            }
            // Where not all children have succeeded some may have.
            Kind::Fork(fork) => {
                let is_revoked = self.revokes(&fork.run) && is_named(&fork.run.next, "all-succeeded");
                (inside && !is_revoked) || self.hands_on(&fork.run)
            }
            Kind::Ask(_) | Kind::Wait(_) | Kind::End(_) => inside,
        }
    }

    /// Whether the state itself may issue and does not go straight to an end with it.
    fn issues_and_goes_on(&self, definition: &Definition, state: &State) -> bool {
        state.ways().into_iter().any(|next| self.leaves_pending(state, next, false) && !definition.succeeds_now(next))
    }

    fn effect(&self, state: &State) -> CertificateEffect {
        let signature = match &state.kind {
            Kind::Do(call) => self.catalog.activity(&call.name.text),
            Kind::Card(call) => self.catalog.job(&call.name.text),
            _ => None,
        };
        signature.map(|of| of.certificate).unwrap_or_default()
    }

    fn revokes(&self, run: &Run) -> bool {
        let child = self.workflows.get(&run.workflow.text);
        child.is_some_and(|child| child.states.iter().any(|state| self.effect(state) == CertificateEffect::Revokes))
    }

    fn hands_on(&self, run: &Run) -> bool {
        self.handing_on.contains(run.workflow.as_str())
    }

    /// Whether a workflow may succeed with a certificate that is not proved.
    fn ends_pending(&self, definition: &Definition) -> bool {
        let pending = self.pending(definition);
        definition.states.iter().any(|state| {
            let success = matches!(&state.kind, Kind::End(end) if end.outcome == EndOutcome::Success);
            success && pending.contains(state.name.as_str())
        })
    }
}
