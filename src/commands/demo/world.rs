//! Everything that the demo starts: readers, cards, directory, proxy and the portal, in one folder, on free ports of the loopback address.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::directory::Directory;
use super::proxy;
use crate::cards::sealing::SealingKey;
use crate::commands::ca;
use crate::random;

const BIND_DN: &str = "cn=sealwright,dc=demo,dc=test";

/// The running demo. Dropping it ends everything.
pub struct World {
    pub folder: PathBuf,
    pub proxy: SocketAddr,
    pub agent_url: String,
    pub public_url: String,
    pub socket: PathBuf,
    pub readers: Vec<String>,
    pub agent: PathBuf,
    _children: Vec<Child>,
    _readers_input: ChildStdin,
}

/// Programs that are started.
pub struct Programs {
    pub agent: PathBuf,
    pub virtual_card: PathBuf,
}

impl Programs {
    /// The programs beside this one.
    ///
    /// # Errors
    /// One of them is not built.
    pub fn beside() -> anyhow::Result<Self> {
        let folder = std::env::current_exe()?.parent().context("no folder")?.to_owned();
        let find = |name: &str| {
            let path = folder.join(name);
            anyhow::ensure!(path.exists(), "{} is missing; `make demo` builds it", path.display());
            Ok(path)
        };
        Ok(Self { agent: find("sealwright-agent")?, virtual_card: find("virtual-card")? })
    }
}

impl World {
    /// Starts everything in an empty folder.
    ///
    /// # Errors
    /// What does not start.
    pub async fn start(folder: &Path, programs: Programs) -> anyhow::Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let mut children = Vec::new();
        let (readers, input, socket, ports) = start_readers(&folder, &programs.virtual_card).await?;
        children.push(readers);
        for (index, port) in ports.iter().enumerate() {
            children.push(start_card(&folder, &programs.virtual_card, index, *port)?);
        }
        let secret = random::token()?;
        let password = random::token()?;
        let directory = Arc::new(Directory::new(BIND_DN, &password));
        let people = directory.people();
        let ldap = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let ldap_address = ldap.local_addr()?;
        tokio::spawn(directory.serve(ldap));
        let [pages, agent, public, proxy] = free_addresses()?;
        let agent_script = folder.join("bin/sealwright-agent");
        let ports = Ports { pages, agent, public, proxy, ldap: ldap_address };
        write_files(&folder, &ports, &secret, &password, &agent_script)?;
        write_agent(&folder, &agent_script, &programs.agent, &socket, agent)?;
        children.push(start_portal(&folder)?);
        wait_for(pages, &mut children).await?;
        tokio::spawn(proxy::start(proxy, pages, &secret, people)?);
        Ok(Self {
            folder,
            proxy,
            agent_url: format!("http://{agent}"),
            public_url: format!("http://{public}"),
            socket,
            readers: vec!["Virtual reader 0 00 00".to_owned(), "Virtual reader 0 00 01".to_owned()],
            agent: agent_script,
            _children: children,
            _readers_input: input,
        })
    }
}

struct Ports {
    pages: SocketAddr,
    agent: SocketAddr,
    public: SocketAddr,
    proxy: SocketAddr,
    ldap: SocketAddr,
}

/// A child that ends with this process, however that ends.
fn child(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program).kill_on_drop(true);
    command
}

async fn start_readers(folder: &Path, program: &Path) -> anyhow::Result<(Child, ChildStdin, PathBuf, Vec<u16>)> {
    let mut readers = child(program)
        .args(["readers", "--count", "2", "--directory"])
        .arg(folder.join("readers"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("setpriv (Debian package util-linux)")?;
    let input = readers.stdin.take().context("no input")?;
    let output = readers.stdout.take().context("no output")?;
    let line = BufReader::new(output).lines().next_line().await?;
    let line = line.context("the private pcscd did not start; see the message above")?;
    let ready: serde_json::Value = serde_json::from_str(&line)?;
    let socket = ready.get("socket").and_then(serde_json::Value::as_str).context("no socket")?;
    let ports = serde_json::from_value(ready.get("ports").cloned().context("no ports")?)?;
    Ok((readers, input, PathBuf::from(socket), ports))
}

fn start_card(folder: &Path, program: &Path, index: usize, port: u16) -> anyhow::Result<Child> {
    let card = child(program)
        .args(["card", "--reader", &format!("127.0.0.1:{port}")])
        .args(["--serial", &format!("{}", 20_000_001 + index)])
        .arg("--state")
        .arg(folder.join(format!("card-{index}")))
        .stdin(Stdio::null())
        .spawn()?;
    Ok(card)
}

fn start_portal(folder: &Path) -> anyhow::Result<Child> {
    let log = std::fs::File::create(folder.join("portal.log"))?;
    let portal = child(&std::env::current_exe()?)
        .args(["serve", "--config"])
        .arg(folder.join("sealwright.toml"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()?;
    Ok(portal)
}

async fn wait_for(address: SocketAddr, children: &mut [Child]) -> anyhow::Result<()> {
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        for child in children.iter_mut() {
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("a part of the demo ended ({status}); see portal.log in its folder");
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the portal did not start within 30 seconds; see portal.log in its folder")
}

fn free_addresses() -> anyhow::Result<[SocketAddr; 4]> {
    // The proxy's address is the same every time where that is possible: people bookmark it.
    let proxy = TcpListener::bind("127.0.0.1:8800").or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    let [a, b, c] = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    Ok([a?.local_addr()?, b?.local_addr()?, c?.local_addr()?, proxy.local_addr()?])
}

fn write_files(folder: &Path, ports: &Ports, secret: &str, password: &str, agent: &Path) -> anyhow::Result<()> {
    let Ports { pages, agent: agents, public, proxy, ldap } = ports;
    let passphrase = random::token()?;
    let name = ["DC=test".to_owned(), "DC=demo".to_owned(), "OU=PKI".to_owned()];
    ca::init(&folder.join("ca"), passphrase.as_bytes(), &name, &format!("http://{public}"))?;
    for (file, text) in [("proxy-secret", secret), ("ldap-password", password), ("ca/passphrase", &passphrase)] {
        std::fs::write(folder.join(file), text)?;
    }
    std::fs::write(folder.join("sealing-key"), SealingKey::generate()?.as_bytes())?;
    let here = folder.display();
    let agent = agent.display();
    let text = format!(
        r#"# Written by `sealwright demo`; a real configuration looks the same.
name = "Sealwright demo"
database = "sqlite:{here}/sealwright.db"
sealing-key-file = "{here}/sealing-key"
issuing-authority = "issuing"

[server]
pages = "{pages}"
agent = "{agents}"
public = "{public}"
pages-url = "http://{proxy}"
agent-url = "http://{agents}"
public-url = "http://{public}"
agent-command = "{agent}"

[sign-in]
secret-file = "{here}/proxy-secret"
peers = ["127.0.0.1"]

[roles.user]
handler = "static"

[roles.ra-operator]
handler = "ldap-group"
group = "cn=ra-operators,ou=groups,dc=demo,dc=test"

[roles.ca-operator]
handler = "ldap-group"
group = "cn=ca-operators,ou=groups,dc=demo,dc=test"

[roles.auditor]
handler = "ldap-group"
group = "cn=auditors,ou=groups,dc=demo,dc=test"

[directory]
url = "ldap://{ldap}"
encryption = "none"
bind-dn = "{BIND_DN}"
bind-password-file = "{here}/ldap-password"
base = "ou=people,dc=demo,dc=test"

[authorities.root]
certificate = "{here}/ca/root.pem"

[authorities.issuing]
certificate = "{here}/ca/issuing.pem"
key = "{here}/ca/issuing.key"
passphrase-file = "{here}/ca/passphrase"

{PROFILES}
[cards]
any-blank = true
"#
    );
    std::fs::write(folder.join("sealwright.toml"), text)?;
    Ok(())
}

/// The two profiles that every installation begins with.
const PROFILES: &str = include_str!("profiles.toml");

fn write_agent(folder: &Path, script: &Path, agent: &Path, socket: &Path, address: SocketAddr) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let config = folder.join("agent.toml");
    let state = folder.join("agent-state");
    std::fs::write(&config, format!("trust = [\"http://{address}\"]\nstate = \"{}\"\n", state.display()))?;
    std::fs::create_dir_all(folder.join("bin"))?;
    let text = format!(
        "#!/bin/sh\n# The agent, with the demo's readers.\nexport PCSCLITE_CSOCK_NAME='{}'\nexec '{}' --config '{}' \"$@\"\n",
        socket.display(),
        agent.display(),
        config.display()
    );
    std::fs::write(script, text)?;
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
