//! The keys `database` and `database-password-file`.

use std::path::Path;

use zeroize::Zeroizing;

use super::error::ConfigurationError;
use super::secret;

/// Refuses a URL that holds a password: every user of the machine would read it on the command line
/// of PostgreSQL's programs.
///
/// # Errors
/// [`ConfigurationError::DatabasePassword`].
pub(super) fn check(url: &str) -> Result<(), ConfigurationError> {
    if holds_password(url) { Err(ConfigurationError::DatabasePassword) } else { Ok(()) }
}

/// Reads the password of the database's user, without the line's end.
///
/// # Errors
/// [`ConfigurationError::File`].
pub(super) fn password(file: &Path) -> Result<Zeroizing<String>, ConfigurationError> {
    Ok(Zeroizing::new(secret::read(file)?.trim().to_owned()))
}

fn holds_password(url: &str) -> bool {
    let Some((_, place)) = url.split_once("://") else { return false };
    let (place, options) = place.split_once('?').unwrap_or((place, ""));
    let user = place.split('/').next().and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || options.split('&').any(|option| option.starts_with("password="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_found() {
        for url in [
            "postgres://sealwright:secret@host/database",
            "postgres://sealwright:@host",
            "postgres://sealwright@host/database?sslmode=verify-full&password=secret",
        ] {
            assert!(holds_password(url), "{url}");
        }
        for url in [
            "postgres://sealwright@host:5432/database?sslmode=verify-full&sslrootcert=/etc/ca:1.pem",
            "postgres://host:5432/database",
            "postgres:///database?host=/run/postgresql&user=sealwright",
            "sqlite:/var/lib/sealwright/a@b:c.db",
        ] {
            assert!(!holds_password(url), "{url}");
        }
    }
}
