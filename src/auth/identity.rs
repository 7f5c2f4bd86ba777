//! Logins and the people behind them, by the directory.

use crate::directory::{Directory, Lookup, Person};
use crate::store::{Store, logins, service_accounts};

/// Tells whether logins are one person's. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identities {
    directory: Directory,
    store: Store,
}

impl Identities {
    pub fn new(directory: Directory, store: Store) -> Self {
        Self { directory, store }
    }

    /// Whether the caller's login and another one belong to the same person; none when the
    /// directory cannot tell.
    pub async fn same_person(&self, login: &str, other: &str) -> Option<bool> {
        // A service account is never a second pair of eyes: as the caller it counts as everybody's
        // second login.
        if service_accounts::is_login(login) {
            return Some(true);
        }
        if service_accounts::is_login(other) {
            return Some(false);
        }

        let (first, second) = tokio::join!(self.directory.find(login, &[]), self.find(other));
        match (first, second) {
            (Ok(Lookup::Found(first)), Some(second)) => first.is_same_human(&second),
            // Somebody whom the directory does not know might be anybody.
            _ => None,
        }
    }

    /// Finds a person by the login, or by the id that had it where the directory does not know it
    /// any more.
    async fn find(&self, login: &str) -> Option<Person> {
        match self.directory.find(login, &[]).await.ok()? {
            Lookup::Found(person) => Some(person),
            Lookup::NotFound => {
                let id = logins::person_of(self.store.read(), login).await.ok()??;
                self.directory.find_by_id(&id).await.ok()??.person
            }
            _ => None,
        }
    }
}
