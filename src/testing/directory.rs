//! The simulated directory: the demo's LDAP server, on a runtime that outlives the nodes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};

use crate::commands::demo::directory::Directory;

pub const BIND_DN: &str = "cn=sealwright,dc=demo,dc=test";
pub const PASSWORD: &str = "password of the directory";

pub struct SimulatedDirectory {
    pub address: SocketAddr,
    pub entries: Arc<Directory>,
    server: Option<Runtime>,
}

impl SimulatedDirectory {
    pub fn start() -> Self {
        let entries = Arc::new(Directory::new(BIND_DN, PASSWORD, 0));
        let mut directory = Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), entries, server: None };
        directory.go_on();
        directory
    }

    /// How many certificates the person's entry shows.
    pub fn published(&self, login: &str) -> usize {
        self.entries.values(login, "userCertificate;binary").len()
    }

    /// Takes somebody's entry out.
    pub fn remove(&self, login: &str) {
        self.entries.remove(login);
    }

    /// Takes an attribute out of somebody's entry.
    pub fn clear(&self, login: &str, attribute: &str) {
        self.entries.clear(login, attribute);
    }

    /// The server ends, and nobody listens at its address.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_timeout(std::time::Duration::from_secs(5));
        }
    }

    /// The server listens at the same address again.
    pub fn go_on(&mut self) {
        let server = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = server.block_on(TcpListener::bind(self.address)).expect("a port");
        self.address = listener.local_addr().expect("an address");
        server.spawn(self.entries.clone().serve(listener));
        self.server = Some(server);
    }
}
