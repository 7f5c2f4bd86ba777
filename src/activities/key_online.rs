//! The condition `ca.key-online`: the issuing authority's key signs.

use async_trait::async_trait;

use super::Rooms;
use crate::engine::contract::Condition;
use crate::issuance::Issuance;

/// The name that a `wait` state says.
pub const NAME: &str = "ca.key-online";

pub struct KeyOnline {
    issuance: Issuance,
}

impl KeyOnline {
    pub fn new(rooms: &Rooms) -> Self {
        Self { issuance: rooms.issuance.clone() }
    }
}

#[async_trait]
impl Condition for KeyOnline {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn holds(&self) -> bool {
        match self.issuance.issuing() {
            Some(issuer) => issuer.is_online().await,
            None => false,
        }
    }
}
