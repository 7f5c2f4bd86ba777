//! Which optional data is certainly set when a state is entered: a forward analysis over all ways.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::definition::{Kind, Next, State, Target};
use crate::guard::{self, Environment};
use crate::types::Type;

/// Paths that are not null.
pub type Set = BTreeSet<Vec<String>>;

/// What an outcome keeps.
pub(super) struct Kept {
    /// The type of each, in the order of `keep`.
    pub types: Vec<Result<Type, guard::TypeError>>,
    /// What is certainly set afterwards.
    pub set: Set,
}

/// What an outcome keeps where this was set before: each replaces what it is kept in, and a later one may read that.
pub(super) fn kept(context: &Context<'_>, state: &State, next: &Next, entered: &Set) -> Kept {
    let brought = brought(context, state, next);
    let mut kept = Kept { types: Vec::new(), set: entered.clone() };
    for (field, path) in &next.keep {
        let found = kept_type(path, &brought, &context.environment_with(&kept.set));
        kept.set.retain(|known| known.first() != Some(&field.text));
        if found.as_ref().is_ok_and(|found| !found.is_optional()) {
            kept.set.insert(vec![field.text.clone()]);
        }
        kept.types.push(found);
    }
    kept
}

/// What is certainly set on the way of `if-cancelled`: taken at once, or when the outcome under way has been kept.
pub(super) fn when_cancelled(context: &Context<'_>, state: &State, entered: &Set) -> Set {
    let mut set = entered.clone();
    for next in state.ways().into_iter().filter(|next| !context.definition.succeeds_now(next)) {
        let after = kept(context, state, next, entered).set;
        set.retain(|path| after.contains(path));
    }
    set
}

/// What an outcome brings: the types that `result`, `child`, `children` or `fields` have on a way.
fn brought(context: &Context<'_>, state: &State, next: &Next) -> BTreeMap<String, Type> {
    let mut names = BTreeMap::new();
    match &state.kind {
        Kind::Do(call) | Kind::Card(call) => {
            let signature = match state.kind {
                Kind::Do(_) => context.catalog.activity(&call.name.text),
                _ => context.catalog.job(&call.name.text),
            };
            let outcome = call.next.named.iter().find(|(_, way)| way.at == next.at).map(|(name, _)| name.as_str());
            if let Some(result) =
                signature.zip(outcome).and_then(|(of, name)| of.outcomes.get(name)).and_then(Option::as_ref)
            {
                names.insert("result".to_owned(), result.clone());
            }
        }
        Kind::Ask(ask) => {
            // Fields are read one by one: `fields.reason`.
            if let Some(action) = ask.actions.iter().find(|action| action.next.at == next.at) {
                for input in &action.fields {
                    names.insert(format!("fields.{}", input.name.text), input.input_type.clone());
                }
            }
        }
        Kind::Run(run) => {
            let success = run.next.named.iter().any(|(name, way)| name.text == "success" && way.at == next.at);
            if success {
                child_results(context, &run.workflow.text, "child", &mut names, |found| found);
            }
        }
        Kind::Fork(fork) => {
            child_results(context, &fork.run.workflow.text, "children", &mut names, |found| {
                Type::List(Box::new(found.required().clone()))
            });
        }
        Kind::Wait(_) | Kind::End(_) => {}
    }
    names
}

fn child_results(
    context: &Context<'_>,
    workflow: &str,
    root: &str,
    names: &mut BTreeMap<String, Type>,
    wrap: impl Fn(Type) -> Type,
) {
    let Some(child) = context.workflows.get(workflow) else { return };
    let ends: Vec<_> = child.success_results().collect();
    for (name, path) in ends.iter().flat_map(|result| result.iter()) {
        let optional = !ends.iter().all(|result| result.contains_key(name));
        let Some(field) = child.data.get(&path.root).filter(|_| path.fields.is_empty()) else { continue };
        // A success end may give optional data: it is then set on every way to that end, or the rule `keep` of the child says so.
        let found = field.field_type.required().clone();
        names.insert(format!("{root}.{name}"), wrap(if optional { found.optional() } else { found }));
    }
}

/// The type of what is kept, or `None` when the outcome does not bring it.
fn kept_type(
    path: &crate::definition::Path,
    brought: &BTreeMap<String, Type>,
    environment: &Environment<'_>,
) -> Result<Type, guard::TypeError> {
    let mut environment = environment.clone();
    // `child.certificate` is known as a whole; `result.csr` by the fields of the result's record.
    if let Some(first) = path.fields.first() {
        let whole = format!("{}.{first}", path.root);
        if let Some(found) = brought.get(&whole) {
            environment.names.insert(whole.clone(), found.clone());
            let walk: Vec<String> = std::iter::once(whole).chain(path.fields.iter().skip(1).cloned()).collect();
            return guard::path_type(&walk, &environment);
        }
    }
    environment.names.extend(brought.clone());
    let walk: Vec<String> = std::iter::once(path.root.clone()).chain(path.fields.iter().cloned()).collect();
    guard::path_type(&walk, &environment)
}

pub(super) fn definitely_set<'a>(context: &Context<'a>) -> BTreeMap<&'a str, Set> {
    let definition = context.definition;
    let mut entered: BTreeMap<&'a str, Set> = BTreeMap::new();
    let Some(first) = definition.states.first() else {
        return entered;
    };
    let mut work = vec![(first.name.as_str(), Set::new())];
    if let Some(deadline) = &definition.deadline {
        work.push((deadline.to.as_str(), Set::new()));
    }
    work.extend(definition.cancel.iter().map(|cancel| (cancel.to.as_str(), Set::new())));
    while let Some((name, set)) = work.pop() {
        let merged = match entered.get(name) {
            Some(old) => old.intersection(&set).cloned().collect(),
            None => set,
        };
        if entered.get(name) == Some(&merged) {
            continue;
        }
        entered.insert(name, merged.clone());
        let Some(state) = definition.state(name) else { continue };
        for next in state.ways() {
            spread(&next.to, &kept(context, state, next, &merged).set, &mut work);
        }
        if let Some(deadline) = &state.deadline {
            work.push((deadline.to.as_str(), merged.clone()));
        }
        // A state that names itself goes on, and is not entered again.
        if let Some(target) = state.if_cancelled.as_ref().filter(|_| !state.goes_on_when_cancelled()) {
            spread(target, &when_cancelled(context, state, &merged), &mut work);
        }
    }
    entered
}

/// Each guard that holds tells something, and so does each that did not.
fn spread<'a>(target: &'a Target, set: &Set, work: &mut Vec<(&'a str, Set)>) {
    let mut set = set.clone();
    for (guard, to) in &target.guards {
        let mut holds = set.clone();
        holds.extend(guard::set_when(&guard.expression, true));
        work.push((to.as_str(), holds));
        set.extend(guard::set_when(&guard.expression, false));
    }
    work.push((target.otherwise.as_str(), set));
}
