//! The condition `ca.key-online`: the key of an authority signs; of the one that it is about, else of the one that issues people's certificates.

use async_trait::async_trait;

use crate::activities::Rooms;
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

    async fn holds(&self, about: Option<&str>) -> bool {
        let issuer = match about {
            Some(authority) => self.issuance.issuer(authority),
            None => self.issuance.issuing(),
        };
        match issuer {
            Some(issuer) => issuer.is_online().await,
            // Somebody has taken the authority out of the configuration: what waits for its key goes on, is stuck, and is seen.
            None => true,
        }
    }
}
