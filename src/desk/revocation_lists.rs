//! Revocation lists, which everybody may read.

use crate::store::{Store, StoreError, revocation_lists};

pub use crate::store::revocation_lists::RevocationListRecord;

/// The newest list of an authority.
///
/// # Errors
/// [`StoreError`].
pub async fn latest(store: &Store, authority: &str) -> Result<Option<RevocationListRecord>, StoreError> {
    revocation_lists::latest(store.read(), authority).await
}
