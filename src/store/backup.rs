//! Backup of the whole database, and restore into an empty one.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sea_orm::sea_query::Expr;
use sea_orm::{DbBackend, Statement};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::database::tables::{pairing, revocation_list, session, work};
use super::database::{OfTenant, Options};
use super::pairings::PairingState;
use super::{Access, Store, StoreError, Tx};

/// Why a copy was not made or taken.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{program} cannot be run: {error}")]
    Program { program: &'static str, error: std::io::Error },
    #[error("{program}: {said}")]
    Failed { program: &'static str, said: String },
    #[error("the database is there already: a backup is restored into an empty one")]
    NotEmpty,
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// The name of the kind of database that a URL is for.
pub fn kind(url: &str) -> &'static str {
    if url.starts_with("sqlite:") { "sqlite" } else { "postgres" }
}

/// Copies the database of a URL to a file, as it is at one moment, while the portal runs.
///
/// # Errors
/// [`CopyError`].
pub async fn copy(url: &str, password: Option<Zeroizing<String>>, to: &Path) -> Result<(), CopyError> {
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            // Opening a file that is not there would make it.
            tokio::fs::metadata(path).await?;
            let mut connection = Options::sqlite(Path::new(path)).open().await.map_err(StoreError::from)?;
            let to = to.display().to_string();
            let vacuum = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [to.into()]);
            connection.execute(vacuum).await.map_err(StoreError::from)?;
            Ok(())
        }
        None => run("pg_dump", &["--format=custom", "--file"], to, &["--dbname", url], password).await,
    }
}

/// Makes the database of a URL from a copy.
///
/// # Errors
/// [`CopyError::NotEmpty`] when something is there.
pub async fn restore(url: &str, password: Option<Zeroizing<String>>, from: &Path) -> Result<(), CopyError> {
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            // SQLite would take a log that a lost database has left behind for a part of this one.
            if ["", "-wal", "-shm", "-journal"].iter().any(|end| Path::new(&format!("{path}{end}")).exists()) {
                return Err(CopyError::NotEmpty);
            }
            Ok(copy_anew(from, Path::new(path))?)
        }
        None => {
            let mut connection = Options::postgres(url, password.clone())?.open().await.map_err(StoreError::from)?;
            let sql = "SELECT 1 AS found FROM information_schema.tables WHERE table_schema = current_schema() LIMIT 1";
            let found = connection.query_one(Statement::from_string(DbBackend::Postgres, sql)).await;
            if found.map_err(StoreError::from)?.is_some() {
                return Err(CopyError::NotEmpty);
            }
            let options = ["--exit-on-error", "--no-owner", "--single-transaction", "--dbname", url];
            run("pg_restore", &options, from, &[], password).await
        }
    }
}

/// Copies to a file that is nobody else's to read, whoever may read the copy; what a full disk has left of it is taken away.
fn copy_anew(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut copy = std::fs::File::open(from)?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = std::io::copy(&mut copy, &mut file).and_then(|_| file.sync_all());
    if copied.is_err() {
        drop(std::fs::remove_file(to));
    }
    copied
}

/// Runs one of PostgreSQL's programs; the password goes by a file that nobody else can read.
async fn run(
    program: &'static str,
    before: &[&str],
    file: &Path,
    after: &[&str],
    password: Option<Zeroizing<String>>,
) -> Result<(), CopyError> {
    let mut command = Command::new(program);
    command.args(before).arg(file).args(after).arg("--no-password").kill_on_drop(true);
    let mut passwords = tempfile::NamedTempFile::new()?;
    if let Some(password) = password {
        let escaped = Zeroizing::new(password.replace('\\', "\\\\").replace(':', "\\:"));
        std::io::Write::write_all(&mut passwords, b"*:*:*:*:")?;
        std::io::Write::write_all(&mut passwords, escaped.as_bytes())?;
        command.env("PGPASSFILE", passwords.path());
    }
    let ended = command.output().await.map_err(|error| CopyError::Program { program, error })?;
    if ended.status.success() {
        return Ok(());
    }
    Err(CopyError::Failed { program, said: String::from_utf8_lossy(&ended.stderr).trim().to_owned() })
}

impl Store {
    /// Ends what was good only when the copy was made: browser sessions, agents' pairings, leases of nodes that are gone, and lists: the last one that
    /// was published has another number, and the next one is made at the start.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_restored(tx: &Tx) -> Result<(), StoreError> {
        session::Entity::delete_of(tx).exec(tx.connection()).await?;
        pairing::Entity::update_of(tx)
            .col_expr(pairing::Column::State, Expr::value(PairingState::Ended))
            .exec(tx.connection())
            .await?;
        work::Entity::update_of(tx)
            .col_expr(work::Column::LeaseUntil, Expr::value(None::<i64>))
            .exec(tx.connection())
            .await?;
        revocation_list::Entity::update_of(tx)
            .col_expr(revocation_list::Column::NextUpdate, Expr::col(revocation_list::Column::ThisUpdate))
            .exec(tx.connection())
            .await?;
        Ok(())
    }
}
