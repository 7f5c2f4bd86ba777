//! Revocation lists, which everybody may read.

use crate::store::{Store, StoreError, certificates};

pub use crate::store::certificates::RevocationListRow;

/// The newest list of an authority.
///
/// # Errors
/// [`StoreError`].
pub async fn latest(store: &Store, authority: &str) -> Result<Option<RevocationListRow>, StoreError> {
    certificates::latest_list(store.read(), authority).await
}
