//! Service accounts: programs that call the API with a token, of which the database keeps the digest.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::roles::ROLES;
use crate::audit::{self, Event, Origin};
use crate::clock::Clock;
use crate::random::{self, NoRandomness};
use crate::store::service_accounts::ServiceAccountRecord;
use crate::store::{Store, StoreError, service_accounts};

/// What every token begins with, so that one that leaked is found by those who look for such things.
const PREFIX: &str = "sealwright_";
const LONGEST_NAME: usize = 64;

/// The service accounts of a tenant.
#[derive(Clone)]
pub struct ServiceAccounts {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// Why there is no such account.
#[derive(Debug, thiserror::Error)]
pub enum ServiceAccountError {
    #[error("a name is of a-z, 0-9 and `-`, at most {LONGEST_NAME} characters")]
    Name,
    #[error("there is no role `{0}`")]
    Role(String),
    #[error("there is no such account, or it was revoked before")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

impl ServiceAccounts {
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// The account of a token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, token: &str) -> Result<Option<ServiceAccountRecord>, StoreError> {
        if !token.starts_with(PREFIX) {
            return Ok(None);
        }
        // Of 256 random bits: neither salt nor stretching adds anything, and nobody learns one from how long this takes.
        service_accounts::of_token(self.store.read(), &random::digest(token.as_bytes())).await
    }

    /// Makes an account; gives its token, which nobody can read again.
    ///
    /// # Errors
    /// [`ServiceAccountError`].
    pub async fn add(&self, name: &str, role: &str) -> Result<Zeroizing<String>, ServiceAccountError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
            return Err(ServiceAccountError::Name);
        }
        if !ROLES.iter().any(|(known, _)| *known == role) {
            return Err(ServiceAccountError::Role(role.to_owned()));
        }
        let token = Zeroizing::new(format!("{PREFIX}{}", random::token()?));
        let now = self.clock.now_ms();
        let row = ServiceAccountRecord {
            name: name.to_owned(),
            role: role.to_owned(),
            token_digest: random::digest(token.as_bytes()),
            created_at: now,
            revoked_at: None,
        };
        self.store
            .write::<_, StoreError, _, _>(move |tx| {
                let row = row.clone();
                async move {
                    let event = Event::ServiceAccountAdded { name: row.name.clone(), role: row.role.clone() };
                    service_accounts::insert(&tx, row).await?;
                    audit::record(&tx, &Origin::system("command"), None, now, &event)
                }
            })
            .await?;
        Ok(token)
    }

    /// Ends an account; its token is refused from now on.
    ///
    /// # Errors
    /// [`ServiceAccountError`].
    pub async fn revoke(&self, name: &str) -> Result<(), ServiceAccountError> {
        let (name, now) = (name.to_owned(), self.clock.now_ms());
        let revoked = self
            .store
            .write::<_, StoreError, _, _>(move |tx| {
                let name = name.clone();
                async move {
                    let revoked = service_accounts::revoke(&tx, &name, now).await?;
                    if revoked {
                        let event = Event::ServiceAccountRevoked { name };
                        audit::record(&tx, &Origin::system("command"), None, now, &event)?;
                    }
                    Ok(revoked)
                }
            })
            .await?;
        if revoked { Ok(()) } else { Err(ServiceAccountError::Unknown) }
    }

    /// Every account, also those that were revoked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<ServiceAccountRecord>, StoreError> {
        service_accounts::list(self.store.read()).await
    }
}

impl std::fmt::Debug for ServiceAccounts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ServiceAccounts").finish_non_exhaustive()
    }
}
