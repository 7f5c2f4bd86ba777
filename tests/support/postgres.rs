//! A PostgreSQL server of a test's own, as an unprivileged user, in the test's folder.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sealwright_world::ports::free_address;

pub const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

pub struct Postgres {
    pub url: String,
    server: Child,
}

impl Postgres {
    /// Without `fsync` it may lose what it has when the machine does: a test is over then.
    pub async fn start(folder: &Path, fsync: bool) -> Self {
        let option = if fsync { "fsync=on" } else { "fsync=off" };
        Self::start_with(folder, &[option.to_owned()], "host").await
    }

    /// The same, with options of its own; `access` is `host`, or `hostssl` for TLS alone.
    pub async fn start_with(folder: &Path, options: &[String], access: &str) -> Self {
        // The server refuses to run as root and must reach its folder.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        let data = folder.join("postgres");
        std::fs::create_dir(&data).expect("a folder");
        let as_root = nix::unistd::geteuid().is_root();
        if as_root {
            let status = Command::new("chown").arg("postgres").arg(&data).status().expect("chown");
            assert!(status.success(), "the user postgres is missing: `make test` installs the package");
        }
        let command = |program: &str| {
            let program = PathBuf::from(PROGRAMS).join(program);
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]);
            if as_root {
                command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
            }
            command.arg(program);
            command
        };
        let cluster = data.join("cluster");
        let made = command("initdb")
            .args(["--auth", "trust", "--username", "sealwright", "--no-sync", "--pgdata"])
            .arg(&cluster)
            .stdout(Stdio::null())
            .current_dir("/")
            .status()
            .expect("initdb");
        assert!(made.success(), "initdb failed");
        let rules = format!("local all all trust\n{access} all all 127.0.0.1/32 trust\n");
        std::fs::write(cluster.join("pg_hba.conf"), rules).expect("written");
        let port = free_address().expect("a port").port();
        let mut server = command("postgres")
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(options.iter().flat_map(|option| ["-c", option]))
            .arg("-k")
            .arg(&data)
            .arg("-D")
            .arg(&cluster)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .spawn()
            .expect("postgres");
        let url = format!("postgres://sealwright@127.0.0.1:{port}/postgres");
        for _ in 0..600 {
            let ready = Command::new(format!("{PROGRAMS}/pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
                .status()
                .expect("pg_isready");
            if ready.success() {
                return Self { url, server };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(server.kill());
        drop(server.wait());
        panic!("postgres did not start within 30 seconds");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
