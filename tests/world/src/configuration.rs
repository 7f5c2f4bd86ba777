//! The configuration files of the demo's portal and agent.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use data_encoding::BASE64;

use crate::authorities::{ISSUING_KEY, TokenOptions};
use crate::private_file;
use crate::random;

/// The portal's file in the demo's folder.
pub const FILE: &str = "sealwright.toml";

pub struct Addresses {
    pub pages: SocketAddr,
    pub agent: SocketAddr,
    pub public: SocketAddr,
    pub proxy: SocketAddr,
}

/// What goes into the configuration.
pub struct Written<'a> {
    pub folder: &'a Path,
    pub database: &'a str,
    pub secret: &'a str,
    pub directory: &'a str,
    pub groups: &'a str,
    pub cards: &'a str,
    /// The sections `[profiles.…]` and `[personalization]`.
    pub profiles: &'a str,
    /// The section `[sign-in.proof]`; a secret in a file when nothing is said.
    pub proof: Option<&'a str>,
    /// The token that keeps the issuing authority's key.
    pub hsm: Option<&'a TokenOptions>,
}

/// Writes keys, secrets and the configuration.
///
/// # Errors
/// A file cannot be written.
pub fn write_portal(written: &Written<'_>, addresses: &Addresses, agent: &Path) -> anyhow::Result<()> {
    let Written { folder, database, secret, directory, groups, cards, profiles, proof, hsm } = written;
    let Addresses { pages, agent: agents, public, proxy } = addresses;
    private_file(&folder.join("proxy-secret"), secret)?;
    write_keys(folder)?;
    let here = folder.display();
    let agent = agent.display();
    let shared = format!("[sign-in.proof]\nby = \"secret\"\nfile = \"{here}/proxy-secret\"");
    let proof = proof.unwrap_or(&shared);
    let key = match hsm {
        None => format!("key = \"{here}/ca/issuing.key\"\npassphrase-file = \"{here}/ca/passphrase\""),
        Some(TokenOptions { module, token, pin_file, worker }) => format!(
            "[authorities.issuing.hsm]\nmodule = \"{}\"\ntoken = \"{token}\"\nkey = \"{ISSUING_KEY}\"\npin-file = \"{}\"{}",
            module.display(),
            pin_file.display(),
            worker.as_ref().map(|worker| format!("\nworker = \"{}\"", worker.display())).unwrap_or_default()
        ),
    };
    let text = format!(
        r#"# Written by `sealwright-demo`; a real configuration looks the same.
name = "Sealwright demo"
database = "{database}"
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
peers = ["127.0.0.1"]
address-header = "X-Forwarded-For"
{proof}

[roles.user]
handler = "static"

[roles.ra-operator]
handler = "ldap-group"
group = "cn=ra-operators,{groups}"

[roles.ca-operator]
handler = "ldap-group"
group = "cn=ca-operators,{groups}"

[roles.auditor]
handler = "ldap-group"
group = "cn=auditors,{groups}"

[directory]
{directory}

[authorities.root]
certificate = "{here}/ca/root.pem"
revocation-list = "{here}/ca/root.crl"

[authorities.issuing]
certificate = "{here}/ca/issuing.pem"
{key}

[audit]
heads-file = "{here}/audit-heads"
key-file = "{here}/audit-key.pem"

{profiles}
[cards]
{cards}
"#
    );
    std::fs::write(folder.join(FILE), text)?;
    Ok(())
}

/// Writes the sealing key, and the key for the audit's heads, as the README tells administrators to.
fn write_keys(folder: &Path) -> anyhow::Result<()> {
    private_file(&folder.join("sealing-key"), &(BASE64.encode(&random::bytes::<32>()?) + "\n"))?;

    let audit_key = folder.join("audit-key.pem");
    let mut command = std::process::Command::new("openssl");
    let output = command.args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&audit_key).output();
    let output = output.context("openssl is not installed")?;
    ensure!(output.status.success(), "no key for the audit: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The two profiles that every installation begins with.
pub const PROFILES: &str = include_str!("profiles.toml");

/// Writes the agent's configuration, and a script that calls it with the demo's readers.
///
/// # Errors
/// A file cannot be written.
pub fn write_agent(
    folder: &Path,
    script: &Path,
    agent: &Path,
    socket: &Path,
    address: SocketAddr,
) -> anyhow::Result<()> {
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
