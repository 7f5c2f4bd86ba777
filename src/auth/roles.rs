//! Roles and their handlers: `static` grants to everybody, `ldap-group` to the members of a group, `command` to whom a program says. None of
//! them grants to somebody of whom the directory says that there is no such person, more than one, or a disabled account.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::future::join_all;
use serde::Deserialize;

use super::command::{self, NoAnswer};
use crate::directory::{Directory, DirectoryError, Lookup, Person};

/// The roles of the portal, in the order that people are offered them.
pub const ROLES: [(&str, &str); 4] =
    [("user", "User"), ("ra-operator", "RA Operator"), ("ca-operator", "CA Operator"), ("auditor", "Auditor")];

/// A role's handler in the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "handler", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RoleOptions {
    Static,
    LdapGroup {
        /// The group's distinguished name; members of groups within it count too.
        group: String,
    },
    Command {
        /// An absolute path. It is called with the login alone; exit status 0 grants.
        program: PathBuf,
    },
}

/// What a handler says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    Granted {
        /// The id of who has the login now; none for an entry that cannot be read.
        person: String,
    },
    Refused,
    /// The directory does not know the person, knows two, or has disabled the account.
    NotKnown,
}

/// What asking again for a role has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    Granted,
    Lost,
    /// Nobody knows now: it holds a while longer.
    Unanswered,
}

/// How long a role holds from the first time that its handler gave no answer, and how long such a handler is left alone.
const GRACE_MS: i64 = 30 * 60_000;
const PAUSE_MS: i64 = 30_000;

/// Why it is not known whether somebody may act in a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Command(#[from] NoAnswer),
}

/// Asks the handlers.
#[derive(Clone, Debug)]
pub struct Roles {
    handlers: BTreeMap<String, RoleOptions>,
    directory: Directory,
    /// When the handler of each role last gave no answer, in milliseconds: it is not asked by every request of everybody then.
    unanswered_at: Arc<BTreeMap<String, AtomicI64>>,
}

/// What is wrong with the roles of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleOptionsError {
    #[error("roles: there is no role `{0}`")]
    Unknown(String),
    #[error("roles: the program of `{0}` must be an absolute path")]
    Program(String),
}

impl Roles {
    /// # Errors
    /// [`RoleOptionsError`].
    pub fn new(handlers: BTreeMap<String, RoleOptions>, directory: Directory) -> Result<Self, RoleOptionsError> {
        for (name, options) in &handlers {
            if !ROLES.iter().any(|(known, _)| known == name) {
                return Err(RoleOptionsError::Unknown(name.clone()));
            }
            if matches!(options, RoleOptions::Command { program } if !program.is_absolute()) {
                return Err(RoleOptionsError::Program(name.clone()));
            }
        }
        let unanswered_at = handlers.keys().map(|role| (role.clone(), AtomicI64::default())).collect();
        Ok(Self { handlers, directory, unanswered_at: Arc::new(unanswered_at) })
    }

    /// Whether this person may act in this role now.
    ///
    /// # Errors
    /// [`RoleError`] when it cannot be found out: then the role is not granted.
    pub async fn grants(&self, role: &str, login: &str) -> Result<Grant, RoleError> {
        // An unknown role costs no look at the directory.
        if !self.handlers.contains_key(role) {
            return Ok(Grant::Refused);
        }
        self.says(role, login, &self.find(login).await).await
    }

    /// Answers of all handlers for this person, in the order of [`ROLES`]. They run at once, each with its own timeout; the directory is searched for
    /// the person once.
    pub async fn all_grants(&self, login: &str) -> Vec<(&'static str, Result<Grant, RoleError>)> {
        let found = self.find(login).await;
        let asked = self.offered().into_iter().map(|(role, _)| {
            let found = &found;
            async move { (role, self.says(role, login, found).await) }
        });
        join_all(asked).await
    }

    /// Answer of a role's handler for the person that the directory has found.
    async fn says(
        &self,
        role: &str,
        login: &str,
        found: &Result<Option<(String, Option<Person>)>, RoleError>,
    ) -> Result<Grant, RoleError> {
        let Some((id, person)) = found.as_ref().map_err(|error| *error)? else { return Ok(Grant::NotKnown) };
        let Some(handler) = self.handlers.get(role) else { return Ok(Grant::Refused) };
        let granted = self.asks(handler, login, person.as_ref()).await?;
        Ok(if granted { Grant::Granted { person: id.clone() } } else { Grant::Refused })
    }

    /// Present holder of a login: the id, and the person where the entry can be read; `None` for a login that gets no role.
    async fn find(&self, login: &str) -> Result<Option<(String, Option<Person>)>, RoleError> {
        Ok(match self.directory.find(login, &[]).await? {
            Lookup::Found(person) => Some((person.id.clone(), Some(person))),
            Lookup::Incomplete { id: Some(id), .. } => Some((id, None)),
            // An entry without an id may be another person's than the login's former holder.
            Lookup::Incomplete { id: None, .. } => None,
            Lookup::NotFound | Lookup::Ambiguous | Lookup::Disabled => None,
        })
    }

    /// What the handler of a role says, whoever asks.
    async fn asks(&self, handler: &RoleOptions, login: &str, person: Option<&Person>) -> Result<bool, RoleError> {
        match (handler, person) {
            (RoleOptions::Static, _) => Ok(true),
            (RoleOptions::LdapGroup { group }, Some(person)) => Ok(self.directory.is_member(group, person).await?),
            (RoleOptions::LdapGroup { .. }, None) => Ok(false),
            (RoleOptions::Command { program }, _) => Ok(command::grants(program, login).await?),
        }
    }

    /// Asks every handler about nobody: whether they answer at all.
    ///
    /// # Errors
    /// The role whose handler does not, and why.
    pub async fn probe(&self) -> Result<(), (String, RoleError)> {
        let nobody = Person::nobody();
        for (role, handler) in &self.handlers {
            let answered = self.asks(handler, &nobody.login, Some(&nobody)).await;
            answered.map_err(|error| (role.clone(), error))?;
        }
        Ok(())
    }

    /// Asks again for a role. `unanswered_at` is when that first brought no answer, if the last time did not, in milliseconds as `now`. A handler
    /// that gives no answer leaves the role for a while, and not for ever.
    pub async fn recheck(&self, role: &str, login: &str, unanswered_at: Option<i64>, now: i64) -> Recheck {
        let is_over = unanswered_at.is_some_and(|at| now > at + GRACE_MS);
        let last = self.unanswered_at.get(role);
        // Nobody loses a role unasked.
        if !is_over && last.is_some_and(|at| now < at.load(Ordering::Relaxed) + PAUSE_MS) {
            return Recheck::Unanswered;
        }
        match self.grants(role, login).await {
            Ok(Grant::Granted { .. }) => Recheck::Granted,
            Ok(Grant::Refused | Grant::NotKnown) => Recheck::Lost,
            Err(error) => {
                tracing::warn!(role, %error, "a role cannot be asked for again");
                if let Some(last) = last {
                    last.store(now, Ordering::Relaxed);
                }
                if is_over { Recheck::Lost } else { Recheck::Unanswered }
            }
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
