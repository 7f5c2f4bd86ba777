//! Revocation lists, which everybody may read.

use crate::store::{Store, StoreError, revocation_lists};

pub use crate::store::revocation_lists::RevocationListRow;

/// The newest list of an authority.
///
/// # Errors
/// [`StoreError`].
pub async fn latest(store: &Store, authority: &str) -> Result<Option<RevocationListRow>, StoreError> {
    revocation_lists::latest(store.read(), authority).await
}
