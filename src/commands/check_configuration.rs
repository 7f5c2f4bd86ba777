//! `sealwright check --config`: whether everything that the portal needs is there and answers, before it is started.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::audit::Heads;
use crate::auth::header::ProofOptions;
use crate::auth::{Roles, mutual_tls};
use crate::cards::sealing::SealingKey;
use crate::clock::{Clock, SystemClock};
use crate::config::Configuration;
use crate::directory::Directory;
use crate::portal;
use crate::store::Store;

/// What has not answered by then does not answer.
const LIMIT: Duration = Duration::from_secs(20);

const NOT_GOOD: &str = "not everything is as it should be";

/// Prints a line for every part; what parts log goes to standard error.
///
/// # Errors
/// A part is not as it should be.
pub async fn run(path: &Path) -> anyhow::Result<()> {
    // Why a directory or a token does not answer is said where it happens: on standard error here, as when the portal is served.
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false).with_writer(std::io::stderr).init();
    let configuration = match Configuration::read(path) {
        Ok(configuration) => configuration,
        Err(error) => {
            println!("configuration: {error}");
            anyhow::bail!(NOT_GOOD);
        }
    };
    println!("configuration: good");
    let mut good = true;
    for (part, found) in [
        ("workflows", workflows(&configuration)),
        ("approvals", configuration.check_approvals().map_err(Into::into)),
        ("sign-in", sign_in(&configuration)),
        ("secret files", configuration.check_secret_files().map_err(Into::into)),
        ("sealing key", sealing_key(&configuration)),
        ("cards", cards(&configuration)),
        ("audit", audit(&configuration)),
        ("database", within(database(&configuration)).await),
        ("directory and roles", within(directory(&configuration)).await),
        ("authorities", within(authorities(&configuration)).await),
    ] {
        match found {
            Ok(()) => println!("{part}: good"),
            Err(error) => {
                good = false;
                println!("{part}: {error:#}");
            }
        }
    }
    anyhow::ensure!(good, NOT_GOOD);
    Ok(())
}

async fn within(asked: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::time::timeout(LIMIT, asked).await.with_context(|| format!("no answer within {LIMIT:?}"))?
}

fn workflows(configuration: &Configuration) -> anyhow::Result<()> {
    let files = portal::workflow_files(configuration.workflows.as_deref())?;
    match portal::library(&files, &portal::catalog()?) {
        Ok(_) => Ok(()),
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::bail!("{}", problems.join("\n"))
        }
    }
}

fn sign_in(configuration: &Configuration) -> anyhow::Result<()> {
    let options = &configuration.sign_in;
    options.header_sign_in()?;
    if let ProofOptions::MutualTls(proof) = &options.proof {
        mutual_tls::server_config(proof)?;
    }
    Ok(())
}

fn sealing_key(configuration: &Configuration) -> anyhow::Result<()> {
    SealingKey::read(&configuration.sealing_key_file)?;
    Ok(())
}

fn cards(configuration: &Configuration) -> anyhow::Result<()> {
    configuration.cards.factory_so_pin()?;
    configuration.cards.attestation_authorities()?;
    Ok(())
}

fn audit(configuration: &Configuration) -> anyhow::Result<()> {
    configuration.audit.as_ref().map(Heads::new).transpose()?;
    Ok(())
}

async fn database(configuration: &Configuration) -> anyhow::Result<()> {
    Ok(Store::reach(&configuration.database, configuration.database_password()?).await?)
}

async fn directory(configuration: &Configuration) -> anyhow::Result<()> {
    let directory = Directory::new(&configuration.directory)?;
    // Nobody has this login: the answer is what counts.
    directory.find("sealwright-check", &[]).await.context("the directory does not answer; standard error says why")?;
    let roles = Roles::new(configuration.roles.clone(), directory)?;
    roles.probe().await.map_err(|(role, error)| anyhow::Error::new(error).context(format!("the role {role}")))
}

async fn authorities(configuration: &Configuration) -> anyhow::Result<()> {
    let (issuance, _) = configuration.issuance()?;
    for name in configuration.authorities.keys() {
        let Some(issuer) = issuance.issuer(name) else { continue };
        issuer.probe().await.with_context(|| format!("the key of `{name}`"))?;
    }
    // Nothing is valid longer than its issuer: long before that one ends it issues nothing any more.
    if let Some(issuer) = issuance.issuing() {
        let (name, (_, until)) = (issuer.authority.name(), issuer.authority.validity());
        for profile in configuration.profiles.keys().filter_map(|profile| issuance.profile(profile)) {
            anyhow::ensure!(
                SystemClock.now() + profile.validity() <= until,
                "`{name}` is valid until {until}, which is too short for the profile `{}`: another authority is to issue",
                profile.name()
            );
        }
    }
    for (name, until) in issuance.lists_valid_until().await {
        let until = until.with_context(|| format!("the revocation list of `{name}` cannot be read"))?;
        anyhow::ensure!(until > SystemClock.now(), "the revocation list of `{name}` was good until {until}");
    }
    Ok(())
}
