//! The demo's directory: an LDAP server in this process over the people of `people.ldif`.
//!
//! It listens on the loopback address, and the portal reaches it by the same code as any other one.
//! Tests make it refuse, hang, and change its entries while it runs.

mod entry;
mod modify;
mod server;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use ldap3_proto::proto::{LdapModify, LdapModifyType, LdapPartialAttribute};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use entry::{Entry, same_name};

pub use ldap3_proto::proto::LdapResultCode;

const PEOPLE: &str = include_str!("people.ldif");

/// Somebody without a story.
fn further_person(number: usize) -> String {
    format!(
        "dn: uid=person-{number},ou=people,dc=demo,dc=test\nobjectClass: person\nobjectClass: inetOrgPerson\n\
         entryUUID: 5a1f0c9e-0001-4000-9000-{number:012}\nuid: person-{number}\ncn: Person {number}\nsn: {number}\n\
         mail: person-{number}@demo.test\nemployeeNumber: 9{number:06}\nuserPrincipalName: person-{number}@corp.demo.test\n\
         objectSid: S-1-5-21-1004336348-1177238915-682003330-{}\n",
        20_000 + number
    )
}

/// A running directory. Dropping it ends the server and its connections.
pub struct Directory {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// The entries, the one account that may bind, and how requests are treated.
struct Shared {
    bind_dn: String,
    password: String,
    entries: Mutex<Vec<Entry>>,
    behaviour: watch::Sender<Behaviour>,
}

/// How a directory treats the requests that reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Behaviour {
    Answers,
    Refuses(LdapResultCode),
    RefusesAfterBind(LdapResultCode),
    Hangs,
}

/// A person of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub login: String,
    pub name: String,
    /// The groups that list the person as a member, by their `cn`.
    pub groups: Vec<String>,
}

impl Directory {
    /// Starts a directory on a free port of the loopback address, with the demo's people and so many more.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub async fn start(bind_dn: &str, password: &str, further_people: usize) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let further = (0..further_people).map(further_person);
        let records = PEOPLE.split("\n\n").map(str::to_owned).chain(further);
        let shared = Arc::new(Shared {
            bind_dn: bind_dn.to_owned(),
            password: password.to_owned(),
            entries: Mutex::new(records.filter_map(|record| Entry::parse(&record)).collect()),
            behaviour: watch::Sender::new(Behaviour::Answers),
        });
        let server = tokio::spawn(server::serve(shared.clone(), listener));
        Ok(Self { address, shared, server })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as the portal's configuration names it.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// Everybody with a login, in the directory's order.
    pub fn people(&self) -> Vec<Person> {
        let entries = self.shared.entries();
        let groups_of = |dn: &str| {
            let groups = entries.iter().filter(|entry| entry.has_member(dn));
            groups.filter_map(|group| group.first("cn")).collect()
        };
        let person = |entry: &Entry| {
            let (login, name) = (entry.first("uid")?, entry.first("cn")?);
            Some(Person { login, name, groups: groups_of(&entry.dn) })
        };
        entries.iter().filter_map(person).collect()
    }

    /// Answers requests again, those that came while it hung too.
    pub fn answer(&self) {
        self.shared.behaviour.send_replace(Behaviour::Answers);
    }

    /// Answers every operation with this result code, binds included.
    pub fn refuse(&self, code: LdapResultCode) {
        self.shared.behaviour.send_replace(Behaviour::Refuses(code));
    }

    /// Lets clients bind, and answers every other operation with this result code.
    pub fn refuse_after_bind(&self, code: LdapResultCode) {
        self.shared.behaviour.send_replace(Behaviour::RefusesAfterBind(code));
    }

    /// Takes connections and requests, and answers nothing.
    pub fn hang(&self) {
        self.shared.behaviour.send_replace(Behaviour::Hangs);
    }

    /// Adds an entry, by its LDIF.
    ///
    /// # Errors
    /// Text that is no LDIF record, or the name of an entry that is there.
    pub fn add(&self, ldif: &str) -> anyhow::Result<()> {
        let entry = Entry::parse(ldif.trim_end()).context("not a record of LDIF")?;
        let mut entries = self.shared.entries();
        ensure!(!entries.iter().any(|known| same_name(&known.dn, &entry.dn)), "{} is there already", entry.dn);
        entries.push(entry);
        Ok(())
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// There is no such entry.
    pub fn remove(&self, dn: &str) -> anyhow::Result<()> {
        let mut entries = self.shared.entries();
        let at = entries.iter().position(|entry| same_name(&entry.dn, dn));
        entries.remove(at.with_context(|| format!("there is no {dn}"))?);
        Ok(())
    }

    /// Replaces all values of an entry's attribute; without values the attribute is deleted.
    ///
    /// # Errors
    /// There is no such entry, or a value is listed twice.
    pub fn set(&self, dn: &str, attribute: &str, values: &[&str]) -> anyhow::Result<()> {
        let vals = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        let modification = LdapPartialAttribute { atype: attribute.to_owned(), vals };
        let change = LdapModify { operation: LdapModifyType::Replace, modification };
        let mut entries = self.shared.entries();
        let entry = entries.iter_mut().find(|entry| same_name(&entry.dn, dn));
        let changed = modify::modify(entry.with_context(|| format!("there is no {dn}"))?, &[change]);
        changed.map_err(|code| anyhow::anyhow!("{dn}: {code:?}"))
    }

    /// The values of an attribute as they are now; none when there is no such entry or attribute.
    pub fn values(&self, dn: &str, attribute: &str) -> Vec<Vec<u8>> {
        let entries = self.shared.entries();
        let entry = entries.iter().find(|entry| same_name(&entry.dn, dn));
        entry.map(|entry| entry.values(attribute).to_vec()).unwrap_or_default()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// The entries, locked. A poisoned lock is used: a change is made on a copy of its entry.
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
