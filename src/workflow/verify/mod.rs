//! Rules that a definition must keep before it may run: one file each, one line in [`RULES`].
//!
//! To add a rule: write `verify/<rule>.rs` with `pub fn check(&Context, &mut Report)`, name it in [`RULES`], and put a good and
//! a bad fixture into `tests/definitions/{ok,bad}/<rule>.yaml`; a test fails when a rule has no fixtures.

mod first_click;
mod flow;
mod forms;
mod four_eyes;
mod guards;
mod holds;
mod if_cancelled;
mod keep;
mod loops;
mod names;
mod outcomes;
mod parameters;
mod reachability;
mod recursion;
mod repair;
mod retries;
mod roles;
mod secrets;
mod sentences;
mod stages;
mod start;

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::definition::{Definition, Party};
use crate::diagnostic::{Diagnostic, Report};
use crate::guard::Environment;
use crate::types::Type;

/// A definition and everything that it may name.
pub(crate) struct Context<'a> {
    pub definition: &'a Definition,
    pub workflows: &'a BTreeMap<String, Definition>,
    pub catalog: &'a Catalog,
    /// Optional data that is set on every way into a state, by the state's name.
    pub set: BTreeMap<&'a str, flow::Set>,
}

impl<'a> Context<'a> {
    /// Optional data that is certainly set where `state` is entered.
    pub fn entered(&self, state: &str) -> flow::Set {
        self.set.get(state).cloned().unwrap_or_default()
    }

    /// What names mean in `state`.
    pub fn environment(&self, state: &str) -> Environment<'a> {
        self.environment_with(&self.entered(state))
    }

    /// What names mean where this optional data is set.
    pub fn environment_with(&self, set: &flow::Set) -> Environment<'a> {
        let mut names: BTreeMap<String, Type> =
            self.definition.data.iter().map(|(name, field)| (name.clone(), field.field_type.clone())).collect();
        names.insert("owner".to_owned(), Type::Named("human".to_owned()));
        names.insert("requester".to_owned(), Type::Named("human".to_owned()));
        Environment::new(self.catalog, names).with(set)
    }
}

type Rule = fn(&Context<'_>, &mut Report);

/// Every rule and its name, the word that diagnostics carry.
pub const RULES: [(&str, RuleFunction); 20] = [
    ("names", RuleFunction(names::check)),
    ("reachability", RuleFunction(reachability::check)),
    ("outcomes", RuleFunction(outcomes::check)),
    ("parameters", RuleFunction(parameters::check)),
    ("keep", RuleFunction(keep::check)),
    ("guards", RuleFunction(guards::check)),
    ("holds", RuleFunction(holds::check)),
    ("roles", RuleFunction(roles::check)),
    ("start", RuleFunction(start::check)),
    ("first-click", RuleFunction(first_click::check)),
    ("forms", RuleFunction(forms::check)),
    ("four-eyes", RuleFunction(four_eyes::check)),
    ("repair", RuleFunction(repair::check)),
    ("retries", RuleFunction(retries::check)),
    ("loops", RuleFunction(loops::check)),
    ("recursion", RuleFunction(recursion::check)),
    ("secrets", RuleFunction(secrets::check)),
    ("sentences", RuleFunction(sentences::check)),
    ("stages", RuleFunction(stages::check)),
    ("if-cancelled", RuleFunction(if_cancelled::check)),
];

/// Of these a version that was released before is exempt: an activity has got another outcome since, or the rule is younger.
pub(crate) const YOUNGER: [&str; 2] = [outcomes::RULE, first_click::RULE];

/// A rule's function, opaque outside.
#[derive(Clone, Copy, Debug)]
pub struct RuleFunction(Rule);

/// Runs every rule over one linked definition.
pub fn verify(definition: &Definition, workflows: &BTreeMap<String, Definition>, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut context = Context { definition, workflows, catalog, set: BTreeMap::new() };
    context.set = flow::definitely_set(&context);
    let mut report = Report::new(&definition.file);
    for (_, RuleFunction(check)) in RULES {
        check(&context, &mut report);
    }
    report.into_diagnostics()
}

/// The role of a party, if it is one.
fn role_of(party: &Party) -> Option<&crate::definition::Word> {
    match party {
        Party::Role(role) => Some(role),
        Party::Owner | Party::Requester => None,
    }
}
