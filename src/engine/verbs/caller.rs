//! The caller of a verb.

use sealwright_workflow::instance::{Actor, Person};

use crate::audit::Origin;

/// The person and role that ask, and where they ask from.
#[derive(Clone, Debug)]
pub struct Caller {
    pub actor: Actor,
    origin: Origin,
}

impl Caller {
    pub fn new(login: &str, role: &str, origin: &Origin) -> Self {
        let actor = Actor { person: Person::new(login), role: role.to_owned() };
        Self { actor, origin: origin.clone() }
    }

    pub(in crate::engine) fn origin(&self) -> Origin {
        Origin {
            login: Some(self.actor.person.login.clone()),
            role: Some(self.actor.role.clone()),
            ..self.origin.clone()
        }
    }
}
