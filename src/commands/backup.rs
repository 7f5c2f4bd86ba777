//! `sealwright backup` and `sealwright restore`: the database with everything that the portal knows, and the rules for what a copy cannot know.
//!
//! A backup holds no key: the sealing key, the authorities' keys and their passphrases are kept elsewhere, and a restore refuses others than those that
//! belong to it. Numbers of revocation lists rise with the time, so none is given twice. What was revoked after the backup is taken from the last
//! lists that were published; serial numbers are random, so none of those issued since is given again.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use data_encoding::HEXLOWER;
use sealwright_pki::revocation::RevocationReason;
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::audit::{self, Event, Heads, Origin};
use crate::cards::sealing::SealingKey;
use crate::clock::{Clock, SystemClock, moment};
use crate::config::Configuration;
use crate::issuance::AuthorityOptions;
use crate::portal::open_store;
use crate::random;
use crate::store::certificates::{CertificateRecord, Status};
use crate::store::revocation_lists::RevocationListRecord;
use crate::store::{Store, StoreError, Tx, audits, backup, certificates, revocation_lists};

const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const DATABASE: &str = "database";
/// How long somebody may hold a certificate that is known by a revocation list alone, in milliseconds: ten years.
const LONGEST: i64 = 10 * 366 * 86_400_000;

/// What a backup says of itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// RFC 3339.
    made_at: String,
    version: String,
    tenant: String,
    database: String,
    /// SHA-256 of the copy, hexadecimal.
    digest: String,
    /// The id of the key that cards' secrets are sealed under.
    sealing_key: String,
    /// SHA-256 of each authority's certificate, hexadecimal.
    authorities: BTreeMap<String, String>,
}

/// Makes a backup in a new folder, while the portal runs.
///
/// # Errors
/// What an operator must mend.
pub async fn backup(config: &Path, to: &Path) -> anyhow::Result<()> {
    let configuration = Configuration::read(config)?;
    // Sealed secrets and the audit are nobody else's to read.
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(to)
        .with_context(|| format!("{} must be a new folder", to.display()))?;
    let file = to.join(DATABASE);
    backup::copy(&configuration.database, configuration.database_password()?, &file).await?;
    let manifest = Manifest {
        format: FORMAT,
        made_at: SystemClock.now().format(&Rfc3339)?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tenant: configuration.tenant.clone(),
        database: backup::kind(&configuration.database).to_owned(),
        digest: digest(&file)?,
        sealing_key: SealingKey::read(&configuration.sealing_key_file)?.id().to_owned(),
        authorities: authorities(&configuration)?.into_iter().map(|(name, der)| (name, random::digest(&der))).collect(),
    };
    std::fs::write(to.join(MANIFEST), serde_json::to_string_pretty(&manifest)? + "\n")?;
    println!("{}: everything that the portal knows, as of {}", to.display(), manifest.made_at);
    println!(
        "Not in it, and needed with it: the sealing key, the authorities' keys and passphrases, the configuration."
    );
    Ok(())
}

/// Makes an empty database what it was when the backup was made.
///
/// # Errors
/// What an operator must mend; then the database is as empty as before, or is to be emptied.
pub async fn restore(config: &Path, from: &Path, lists: &[PathBuf]) -> anyhow::Result<()> {
    let configuration = Configuration::read(config)?;
    let manifest: Manifest = serde_json::from_str(&std::fs::read_to_string(from.join(MANIFEST))?)
        .with_context(|| format!("{}: {MANIFEST}", from.display()))?;
    let file = from.join(DATABASE);
    check(&configuration, &manifest, &file)?;
    let authorities = authorities(&configuration)?;
    let lists = lists.iter().map(|path| read_list(path, &authorities)).collect::<anyhow::Result<Vec<_>>>()?;
    let lacks_list = |(name, options): &(&String, &AuthorityOptions)| {
        (options.key.is_some() || options.hsm.is_some()) && !lists.iter().any(|list| list.authority == **name)
    };
    // What could not be noted at the end is found before anything is made.
    let heads = configuration.audit.as_ref().map(Heads::new).transpose()?;
    heads.as_ref().map(|heads| heads.read(&configuration.tenant)).transpose()?;
    backup::restore(&configuration.database, configuration.database_password()?, &file).await?;
    let store = open_store(&configuration).await?;
    let last = audits::last_seal(store.read()).await?;
    let at = SystemClock.now_ms();
    let (made_at, known) = (manifest.made_at.clone(), lists.clone());
    let revoked = store
        .write::<_, StoreError, _, _>(move |tx| {
            let (lists, made_at) = (known.clone(), made_at.clone());
            async move {
                Store::settle_restored(&tx).await?;
                let mut revoked = 0;
                for list in &lists {
                    revoked += list.apply(&tx, at).await?;
                }
                let event = Event::Restored { made_at, revoked };
                audit::record(&tx, &Origin::system("restore"), None, at, &event)?;
                Ok(revoked)
            }
        })
        .await?;
    if let (Some(heads), Some(last)) = (&heads, last) {
        let kept = audit::agreement(store.read(), &heads.read(&configuration.tenant)?).await?;
        heads.note_restored(&configuration.tenant, &last, kept.min(last.sequence), at)?;
    }
    println!("restored: everything that the portal knew at {}", manifest.made_at);
    if !lists.is_empty() {
        println!("{revoked} certificates were revoked since, by the lists, and stay so.");
    }
    for (name, _) in configuration.authorities.iter().filter(lacks_list) {
        println!(
            "Without --revocation-list nothing is known of revocations by `{name}` since: certificates revoked after the backup count as valid."
        );
    }
    println!(
        "Sessions and pairings are over. Look at `sealwright service-account list`: what was revoked since is good again."
    );
    println!("People who were erased from the audit since are in it again: erase them once more.");
    Ok(())
}

fn check(configuration: &Configuration, manifest: &Manifest, file: &Path) -> anyhow::Result<()> {
    ensure!(manifest.format == FORMAT, "the backup is of another format ({})", manifest.format);
    ensure!(manifest.tenant == configuration.tenant, "the backup is of the tenant {}", manifest.tenant);
    let kind = backup::kind(&configuration.database);
    ensure!(
        manifest.database == kind,
        "the backup is of a {} database, the configuration names {kind}",
        manifest.database
    );
    ensure!(digest(file)? == manifest.digest, "{} was changed since the backup was made", file.display());
    let sealing_key = SealingKey::read(&configuration.sealing_key_file)?;
    ensure!(
        sealing_key.id() == manifest.sealing_key,
        "the sealing key is another one: the secrets of cards in the backup could not be opened"
    );
    let authorities = authorities(configuration)?;
    for (name, certificate) in &manifest.authorities {
        ensure!(
            authorities.get(name).is_some_and(|der| random::digest(der) == *certificate),
            "the authority {name} has another certificate than when the backup was made"
        );
    }
    Ok(())
}

fn digest(file: &Path) -> anyhow::Result<String> {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut reader = std::fs::File::open(file).with_context(|| file.display().to_string())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = std::io::Read::read(&mut reader, &mut buffer)?;
        if read == 0 {
            return Ok(HEXLOWER.encode(context.finish().as_ref()));
        }
        context.update(buffer.get(..read).unwrap_or_default());
    }
}

/// Each authority's certificate, DER.
fn authorities(configuration: &Configuration) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let read = |(name, options): (&String, &AuthorityOptions)| Ok((name.clone(), options.certificate_der(name)?));
    configuration.authorities.iter().map(read).collect()
}

/// The last list that was published before the database was lost.
#[derive(Clone)]
struct LastList {
    authority: String,
    number: i64,
    der: Vec<u8>,
    this_update: i64,
    next_update: i64,
    /// Serial number (hexadecimal), moment and reason.
    revoked: Vec<(String, i64, RevocationReason)>,
}

fn read_list(path: &Path, authorities: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<LastList> {
    let der = std::fs::read(path).with_context(|| path.display().to_string())?;
    let named = || path.display().to_string();
    let (rest, list) = CertificateRevocationList::from_der(&der).with_context(named)?;
    ensure!(rest.is_empty(), "{}: something follows the list", named());
    let Some((authority, _)) = authorities.iter().find(|(_, certificate)| is_by(&list, certificate)) else {
        bail!("{}: the list is of no configured authority, or its signature is wrong", named());
    };
    let number = list.crl_number().and_then(|number| i64::try_from(number).ok()).context("the list has no number")?;
    let revoked = list.iter_revoked_certificates().map(|entry| {
        let reason =
            entry.reason_code().map_or(RevocationReason::Unspecified, |(_, code)| RevocationReason::from_code(code.0));
        let serial = HEXLOWER.encode(entry.raw_serial());
        (serial.trim_start_matches('0').to_owned(), entry.revocation_date.timestamp() * 1000, reason)
    });
    Ok(LastList {
        authority: authority.clone(),
        number,
        this_update: list.last_update().timestamp() * 1000,
        next_update: list.next_update().context("the list has no next update")?.timestamp() * 1000,
        revoked: revoked.collect(),
        der: der.clone(),
    })
}

fn is_by(list: &CertificateRevocationList<'_>, certificate: &[u8]) -> bool {
    let certificate = x509_parser::parse_x509_certificate(certificate);
    certificate.is_ok_and(|(_, certificate)| list.verify_signature(certificate.public_key()).is_ok())
}

impl LastList {
    /// What it revokes stays revoked, also what the backup does not know; gives how many that are.
    async fn apply(&self, tx: &Tx, at: i64) -> Result<u64, StoreError> {
        let mut count = 0;
        for (serial, revoked_at, reason) in &self.revoked {
            let known = certificates::find_by_serial(tx, &self.authority, serial).await?;
            let changed = match known {
                Some(row) if *reason == RevocationReason::CertificateHold => {
                    certificates::suspend(tx, row.id, *revoked_at).await?
                }
                Some(row) => certificates::revoke(tx, row.id, reason.as_str(), *revoked_at).await?,
                None => {
                    certificates::insert(tx, self.unknown(serial, *revoked_at, *reason, at)).await?;
                    true
                }
            };
            count += u64::from(changed);
        }
        let latest = revocation_lists::latest(tx, &self.authority).await?;
        if latest.is_none_or(|latest| latest.number < self.number) {
            revocation_lists::insert(
                tx,
                RevocationListRecord {
                    authority: self.authority.clone(),
                    number: self.number,
                    der: self.der.clone(),
                    this_update: self.this_update,
                    next_update: self.next_update,
                },
            )
            .await?;
        }
        Ok(count)
    }

    /// A certificate that was issued and revoked after the backup: nothing else is known of it.
    fn unknown(&self, serial: &str, revoked_at: i64, reason: RevocationReason, at: i64) -> CertificateRecord {
        CertificateRecord {
            id: random::id(),
            authority: self.authority.clone(),
            serial: serial.to_owned(),
            status: Status::Revoked,
            profile: String::new(),
            person: String::new(),
            owner_login: String::new(),
            card: None,
            slot: None,
            subject: format!("known by a revocation list of {}", moment(self.this_update).date()),
            names_digest: String::new(),
            not_before: revoked_at,
            not_after: at + LONGEST,
            public_key_digest: String::new(),
            to_be_signed: Vec::new(),
            certificate: None,
            fingerprint: None,
            instance: random::id(),
            step: 0,
            created_at: at,
            revoked_at: Some(revoked_at),
            reason: Some(reason.as_str().to_owned()),
        }
    }
}

/// Where a configuration is looked for.
#[derive(clap::Args)]
pub struct BackupOptions {
    #[arg(long, default_value = "/etc/sealwright/sealwright.toml")]
    pub config: PathBuf,
    /// A folder that is not there yet.
    #[arg(long)]
    pub to: PathBuf,
}

#[derive(clap::Args)]
pub struct RestoreOptions {
    #[arg(long, default_value = "/etc/sealwright/sealwright.toml")]
    pub config: PathBuf,
    /// The folder of the backup.
    #[arg(long)]
    pub from: PathBuf,
    /// The last revocation list that was published, DER: what it revokes stays revoked. Once for each authority that signs here.
    #[arg(long)]
    pub revocation_list: Vec<PathBuf>,
}
