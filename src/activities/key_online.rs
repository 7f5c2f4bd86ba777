//! The conditions `ca.key-online`, that the issuing authority's key signs, and `ca.list-keys-online`, that the keys of all authorities do which have a
//! revocation list to keep.

use async_trait::async_trait;

use super::Rooms;
use crate::engine::contract::Condition;
use crate::issuance::Issuance;

/// The names that a `wait` state says.
pub const NAMES: [&str; 2] = [ISSUING, LISTS];
const ISSUING: &str = "ca.key-online";
const LISTS: &str = "ca.list-keys-online";

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
        ISSUING
    }

    async fn holds(&self) -> bool {
        match self.issuance.issuing() {
            Some(issuer) => issuer.is_online().await,
            None => false,
        }
    }
}

pub struct ListKeysOnline {
    issuance: Issuance,
}

impl ListKeysOnline {
    pub fn new(rooms: &Rooms) -> Self {
        Self { issuance: rooms.issuance.clone() }
    }
}

#[async_trait]
impl Condition for ListKeysOnline {
    fn name(&self) -> &'static str {
        LISTS
    }

    async fn holds(&self) -> bool {
        for issuer in self.issuance.issuers() {
            if !issuer.is_online().await {
                return false;
            }
        }
        true
    }
}
