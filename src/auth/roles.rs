//! Roles and their handlers: `static` grants to everybody, `ldap-group` to the members of a group.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::directory::{Directory, DirectoryError, Lookup};

/// The roles of the portal, in the order that people are offered them.
pub const ROLES: [(&str, &str); 4] =
    [("user", "User"), ("ra-operator", "RA Operator"), ("ca-operator", "CA Operator"), ("auditor", "Auditor")];
/// The role that the portal itself acts in; no handler can grant it.
pub const SYSTEM: &str = "system";

/// A role's handler in the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "handler", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RoleOptions {
    Static,
    LdapGroup {
        /// The group's distinguished name.
        group: String,
    },
}

/// Asks the handlers.
#[derive(Clone, Debug)]
pub struct Roles {
    handlers: BTreeMap<String, RoleOptions>,
    directory: Directory,
}

/// A role in the configuration that the portal does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("roles: there is no role `{0}`")]
pub struct UnknownRole(String);

impl Roles {
    /// # Errors
    /// [`UnknownRole`].
    pub fn new(handlers: BTreeMap<String, RoleOptions>, directory: Directory) -> Result<Self, UnknownRole> {
        match handlers.keys().find(|name| !ROLES.iter().any(|(known, _)| known == name)) {
            Some(unknown) => Err(UnknownRole(unknown.clone())),
            None => Ok(Self { handlers, directory }),
        }
    }

    /// Whether this person may act in this role now.
    ///
    /// # Errors
    /// [`DirectoryError`] when it cannot be found out: then the role is not granted.
    pub async fn grants(&self, role: &str, login: &str) -> Result<bool, DirectoryError> {
        match self.handlers.get(role) {
            None => Ok(false),
            Some(RoleOptions::Static) => Ok(true),
            Some(RoleOptions::LdapGroup { group }) => match self.directory.find(login, &[]).await? {
                Lookup::Found(person) => self.directory.is_member(group, &person).await,
                _ => Ok(false),
            },
        }
    }

    /// Roles that have a handler, with their titles.
    pub fn offered(&self) -> Vec<(&'static str, &'static str)> {
        ROLES.into_iter().filter(|(name, _)| self.handlers.contains_key(*name)).collect()
    }

    /// The title of a role.
    pub fn title(name: &str) -> &'static str {
        ROLES.into_iter().find(|(known, _)| *known == name).map_or("", |(_, title)| title)
    }
}
