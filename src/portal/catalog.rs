//! The catalog of workflows: activities, card jobs, types, roles, and values of the configuration.

use std::collections::BTreeMap;

use sealwright_workflow::catalog::Catalog;
use sealwright_workflow::types::{Type, UnknownSchema};
use serde_json::Value;

use crate::activities;
use crate::auth::header::SYSTEM;
use crate::auth::roles::ROLES;
use crate::config::{ApprovalScope, Configuration};
use crate::issuance::Slot;

/// A value of the configuration that a workflow copies at its start, as `policy.<path>`.
struct Policy {
    path: &'static str,
    declared: fn() -> Type,
    value: fn(&Configuration, &[Slot]) -> serde_json::Result<Value>,
}

/// Every policy: its path, its type in the language, and where its value comes from.
const POLICIES: [Policy; 7] = [
    Policy {
        path: "personalization.slots",
        declared: || Type::List(Box::new(named("slot"))),
        value: |_, slots| serde_json::to_value(slots),
    },
    Policy {
        path: "personalization.together",
        declared: || Type::Bool,
        value: |configuration, _| Ok((configuration.personalization.approvals == ApprovalScope::Together).into()),
    },
    Policy {
        path: "synchronization.gone",
        declared: || named("departure-action"),
        value: |configuration, _| serde_json::to_value(configuration.synchronization.gone),
    },
    Policy {
        path: "synchronization.disabled",
        declared: || named("departure-action"),
        value: |configuration, _| serde_json::to_value(configuration.synchronization.disabled),
    },
    Policy {
        path: "synchronization.moved",
        declared: || named("departure-action"),
        value: |configuration, _| serde_json::to_value(configuration.synchronization.moved),
    },
    Policy {
        path: "synchronization.unpublish",
        declared: || Type::Bool,
        value: |configuration, _| Ok(configuration.synchronization.unpublish.into()),
    },
    Policy {
        path: "synchronization.at_most",
        declared: || Type::Integer,
        value: |configuration, _| Ok(configuration.synchronization.at_most.into()),
    },
];

fn named(name: &str) -> Type {
    Type::Named(name.to_owned())
}

/// The catalog of this release, made of types alone: nothing is connected.
///
/// # Errors
/// A type that the language cannot carry: a mistake of this program.
pub fn catalog() -> Result<Catalog, UnknownSchema> {
    let mut catalog = Catalog::new();
    activities::declare(&mut catalog)?;
    catalog.add_type::<Slot>()?;

    for (role, _) in ROLES {
        catalog.add_role(role);
    }
    catalog.add_own_role(SYSTEM);

    for policy in POLICIES {
        catalog.add_policy(policy.path, (policy.declared)());
    }
    Ok(catalog)
}

/// The values of all policies, by path.
///
/// # Errors
/// A value that is no JSON: a mistake of this program.
pub(super) fn policies(configuration: &Configuration, slots: &[Slot]) -> serde_json::Result<BTreeMap<String, Value>> {
    POLICIES.iter().map(|policy| Ok((policy.path.to_owned(), (policy.value)(configuration, slots)?))).collect()
}
