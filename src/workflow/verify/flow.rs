//! Which optional data is certainly set when a state is entered: a forward analysis over all ways.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::definition::{Kind, Next, State, Target};
use crate::guard::{self, Environment};
use crate::types::Type;

/// Paths that are not null.
pub type Set = BTreeSet<Vec<String>>;

/// What an outcome brings: the types that `result`, `child`, `children` or `fields` have on a way.
pub(super) fn brought(context: &Context<'_>, state: &State, next: &Next) -> BTreeMap<String, Type> {
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
pub(super) fn kept_type(
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
        let names = definition.data.iter().map(|(name, field)| (name.clone(), field.field_type.clone())).collect();
        let environment = Environment::new(context.catalog, names).with(&merged);
        for next in state.ways() {
            let brought = brought(context, state, next);
            let mut after = merged.clone();
            for (field, path) in &next.keep {
                after.retain(|path| path.first() != Some(&field.text));
                if kept_type(path, &brought, &environment).is_ok_and(|found| !found.is_optional()) {
                    after.insert(vec![field.text.clone()]);
                }
            }
            spread(&next.to, &after, &mut work);
        }
        if let Some(deadline) = &state.deadline {
            work.push((deadline.to.as_str(), merged.clone()));
        }
        if let Some(target) = &state.if_cancelled {
            spread(target, &merged, &mut work);
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
