//! The question whether two logins are one person's, which four eyes depend on.

use async_trait::async_trait;

/// Tells people from logins: one person may have several.
#[async_trait]
pub trait IdentityResolver: Send + Sync {
    /// Whether two logins belong to the same person.
    ///
    /// # Errors
    /// [`IdentityUnavailable`]: then they must not be taken for two people.
    async fn same_person(&self, login: &str, other: &str) -> Result<bool, IdentityUnavailable>;
}

/// The directory cannot tell now, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory does not tell who somebody is")]
pub struct IdentityUnavailable;
