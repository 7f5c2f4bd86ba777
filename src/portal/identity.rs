//! The engine's way to the people behind logins: the room `auth` knows them, and knows no engine.

use async_trait::async_trait;

use crate::auth::Identities;
use crate::engine::{IdentityResolver, IdentityUnavailable};

#[async_trait]
impl IdentityResolver for Identities {
    async fn same_person(&self, login: &str, other: &str) -> Result<bool, IdentityUnavailable> {
        Identities::same_person(self, login, other).await.ok_or(IdentityUnavailable)
    }
}
