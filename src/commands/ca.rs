//! `sealwright ca`: makes a root and an issuing authority, with keys in encrypted files or the issuing one in a token, and the root's revocation
//! list.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use sealwright_pki::authority::{self, Authority, NewAuthority};
use sealwright_pki::certificate;
use sealwright_pki::key::KeyAlgorithm;
use sealwright_pki::key_file;
use sealwright_pki::name::NameTemplate;
use sealwright_pki::revocation::{self, RevocationReason, Revoked};
use sealwright_pki::signer::{Signer, SoftwareKey};
use time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::hsm::{self, HsmOptions};
use crate::random;

#[derive(Subcommand)]
pub enum Command {
    /// Make a root and an issuing authority below it.
    Init {
        /// A folder for keys and certificates.
        #[arg(long)]
        directory: PathBuf,
        /// The file with the passphrase of both keys.
        #[arg(long)]
        passphrase_file: PathBuf,
        /// The relative names that both authorities share, the root first, such as `DC=org DC=example`.
        #[arg(long, num_args = 1.., default_values_t = ["O=Sealwright".to_owned()])]
        name: Vec<String>,
        /// Where `/pki/` is served over plain http.
        #[arg(long)]
        public_url: String,
        /// The PKCS#11 module of the token that makes and keeps the issuing authority's key; a file keeps it when this is not said.
        #[arg(long, requires_all = ["hsm_token", "hsm_pin_file"])]
        hsm_module: Option<PathBuf>,
        /// The token's label.
        #[arg(long)]
        hsm_token: Option<String>,
        /// The file with the token's user PIN.
        #[arg(long)]
        hsm_pin_file: Option<PathBuf>,
        /// The program that runs the module, as `worker` in the configuration.
        #[arg(long, requires = "hsm_module")]
        hsm_worker: Option<PathBuf>,
    },
    /// Sign the root's revocation list again: it is good for a year. Run where the root's key is, then put root.crl where the portal reads it.
    RootCrl {
        /// The folder with root.pem, root.key and the last root.crl, whose revocations stay; the new root.crl is written there.
        #[arg(long)]
        directory: PathBuf,
        #[arg(long)]
        passphrase_file: PathBuf,
        /// The certificate (PEM) of an authority below the root, which is revoked from now on.
        #[arg(long)]
        revoke: Option<PathBuf>,
        /// Why: `ca-compromise`, `superseded`, `cessation-of-operation` or `unspecified`.
        #[arg(long, default_value = "unspecified")]
        reason: String,
    },
}

/// The issuing authority's name, and its key's label in a token.
const ISSUING: &str = "issuing";
/// Why an authority below the root is revoked.
const REASONS: [RevocationReason; 4] = [
    RevocationReason::CaCompromise,
    RevocationReason::Superseded,
    RevocationReason::CessationOfOperation,
    RevocationReason::Unspecified,
];
/// How long the root's list is good: its key is offline.
const ROOT_LIST_VALIDITY: Duration = Duration::days(365);

/// # Errors
/// What keeps the authorities from being made.
pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init {
            directory,
            passphrase_file,
            name,
            public_url,
            hsm_module,
            hsm_token,
            hsm_pin_file,
            hsm_worker,
        } => {
            let passphrase = passphrase(&passphrase_file)?;
            anyhow::ensure!(passphrase.len() >= 12, "the passphrase must have at least 12 characters");
            let hsm = match (hsm_module, hsm_token, hsm_pin_file) {
                (Some(module), Some(token), Some(pin_file)) => Some(HsmOptions {
                    module,
                    token,
                    key: ISSUING.to_owned(),
                    pin_file,
                    refused_pin_file: None,
                    worker: hsm_worker,
                }),
                _ => None,
            };
            init(&directory, passphrase.as_bytes(), &name, &public_url, hsm.as_ref())?;
            let kept = if hsm.is_some() { "its key in the token" } else { "issuing.key" };
            println!(
                "{}: root.pem, root.key, root.crl, issuing.pem, {kept}. Keep root.key offline.",
                directory.display()
            );
        }
        Command::RootCrl { directory, passphrase_file, revoke, reason } => {
            let passphrase = passphrase(&passphrase_file)?;
            let read = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
            let read_certificate = |path: &Path| -> anyhow::Result<Vec<u8>> {
                let found = certificate::from_pem("CERTIFICATE", &read(path)?).into_iter().next();
                found.with_context(|| format!("{} holds no certificate", path.display()))
            };
            let reason =
                REASONS.into_iter().find(|known| known.as_str() == reason).context("there is no such reason")?;
            let key = key_file::read(&read(&directory.join("root.key"))?, passphrase.as_bytes())?;
            let root = read_certificate(&directory.join("root.pem"))?;
            let revoke = revoke.map(|path| read_certificate(&path)).transpose()?;
            let revoked = write_root_list(&directory, &root, &key, revoke.as_deref().map(|below| (below, reason)))?;
            println!("{}: signed; certificates that it revokes: {revoked}", directory.join("root.crl").display());
        }
    }
    Ok(())
}

fn passphrase(file: &Path) -> anyhow::Result<zeroize::Zeroizing<String>> {
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).with_context(|| file.display().to_string())?);
    Ok(zeroize::Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Signs the root's list, and gives how many certificates it revokes: what the last one did, and `more` with its reason.
fn write_root_list(
    directory: &Path,
    root: &[u8],
    key: &SoftwareKey,
    more: Option<(&[u8], RevocationReason)>,
) -> anyhow::Result<usize> {
    use std::io::Write;
    let authority = Authority::new("root", root, "")?;
    let now = SystemClock.now();
    let mut number = u64::try_from(now.unix_timestamp())?;
    let mut revoked = Vec::new();
    let path = directory.join("root.crl");
    if path.exists() {
        let last = revocation::read(&authority, &std::fs::read(&path)?);
        let last = last.with_context(|| format!("{} is no list of this root", path.display()))?;
        // The time, which rises; the clock of a machine that is seldom on may not.
        number = number.max(last.number + 1);
        revoked = last.revoked;
    }
    if let Some((certificate, reason)) = more {
        let new = Revoked::new(&authority, certificate, now, reason);
        let new = new.context("the certificate that is to be revoked is not one that the root has signed")?;
        if revoked.iter().all(|known| known.serial != new.serial) {
            revoked.push(new);
        }
    }
    let list = revocation::list(&authority, &revoked, number, now, ROOT_LIST_VALIDITY, key)?;
    // A reader sees the old list or the new one.
    let new = directory.join("root.crl.new");
    let mut file = std::fs::File::create(&new)?;
    file.set_permissions(Permissions::from_mode(PUBLIC))?;
    file.write_all(&list)?;
    file.sync_all()?;
    std::fs::rename(new, path)?;
    Ok(revoked.len())
}

/// The mode of certificates and lists, which anybody may read.
const PUBLIC: u32 = 0o644;

/// Makes both authorities; refuses to overwrite.
fn init(
    directory: &Path,
    passphrase: &[u8],
    name: &[String],
    public_url: &str,
    hsm: Option<&HsmOptions>,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    // Before anything is made: a key in a token cannot be taken back, and a list that is published is not replaced by one of another key.
    for file in ["root.key", "root.pem", "root.crl", "issuing.key", "issuing.pem"] {
        let path = directory.join(file);
        anyhow::ensure!(!path.exists(), "{} is there already", path.display());
    }
    let now = SystemClock.now();
    let named = |common: &str| -> anyhow::Result<Vec<u8>> {
        let relative: Vec<String> = name.iter().cloned().chain([format!("CN={common}")]).collect();
        Ok(NameTemplate::parse(&relative)?.fill(&BTreeMap::new())?)
    };
    let root_key = SoftwareKey::generate(KeyAlgorithm::P384)?;
    let new = NewAuthority {
        subject: &named("Root Authority")?,
        serial: random::bytes()?,
        now,
        validity: Duration::days(20 * 365),
    };
    let root = authority::new_root(&new, &root_key)?;
    let parent = Authority::new("root", &root, public_url)?;
    let (issuing_key, issuing_public_key) = match hsm {
        Some(hsm) => (None, hsm::generate(hsm, KeyAlgorithm::P256)?),
        None => {
            let key = SoftwareKey::generate(KeyAlgorithm::P256)?;
            let public_key = key.public_key().to_vec();
            (Some(key), public_key)
        }
    };
    let new = NewAuthority {
        subject: &named("Issuing Authority")?,
        serial: random::bytes()?,
        now,
        validity: Duration::days(10 * 365),
    };
    let issuing = authority::new_issuing(&parent, &new, &issuing_public_key, &root_key)?;
    write_root_list(directory, &root, &root_key, None)?;
    for (file, key, der) in [("root", Some(&root_key), &root), (ISSUING, issuing_key.as_ref(), &issuing)] {
        if let Some(key) = key {
            let pem = key_file::write(key, passphrase, &random::bytes()?, random::bytes()?)?;
            write_new(&directory.join(format!("{file}.key")), &pem, 0o600)?;
        }
        write_new(&directory.join(format!("{file}.pem")), &certificate::pem("CERTIFICATE", der), PUBLIC)?;
    }
    Ok(())
}

fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| path.display().to_string())?;
    // Whatever the umask.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
