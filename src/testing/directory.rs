//! The simulated directory: the demo's LDAP server, on a runtime that outlives the nodes.

use sealwright_world::directory::{Directory, LdapResultCode};
use tokio::runtime::{self, Runtime};

pub const BIND_DN: &str = "cn=sealwright,dc=demo,dc=test";
pub const PASSWORD: &str = "password of the directory";

pub struct SimulatedDirectory {
    directory: Directory,
    _server: Runtime,
}

impl SimulatedDirectory {
    pub fn start() -> Self {
        let server = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let directory = server.block_on(Directory::start(BIND_DN, PASSWORD, 0)).expect("a directory");
        Self { directory, _server: server }
    }

    /// The address as the portal's configuration names it.
    pub fn url(&self) -> String {
        self.directory.url()
    }

    /// Answers every operation with `unavailable` until [`SimulatedDirectory::go_on`].
    pub fn stop(&self) {
        self.directory.refuse(LdapResultCode::Unavailable);
    }

    pub fn go_on(&self) {
        self.directory.answer();
    }

    /// How many certificates the person's entry shows.
    pub fn published(&self, login: &str) -> usize {
        self.directory.values(&dn(login), "userCertificate;binary").len()
    }

    /// Takes somebody's entry out.
    pub fn remove(&self, login: &str) {
        self.directory.remove(&dn(login)).expect("an entry");
    }

    /// Gives an attribute of somebody's entry one value.
    pub fn set(&self, login: &str, attribute: &str, value: &str) {
        self.directory.set(&dn(login), attribute, &[value]).expect("an entry");
    }

    /// Leaves one member alone in a group.
    pub fn leave_alone(&self, group: &str, login: &str) {
        let group = format!("cn={group},ou=groups,dc=demo,dc=test");
        self.directory.set(&group, "member", &[&dn(login)]).expect("an entry");
    }

    /// Takes the certificates out of somebody's entry.
    pub fn unpublish(&self, login: &str) {
        self.directory.set(&dn(login), "userCertificate;binary", &[]).expect("an entry");
    }
}

fn dn(login: &str) -> String {
    format!("uid={login},ou=people,dc=demo,dc=test")
}
