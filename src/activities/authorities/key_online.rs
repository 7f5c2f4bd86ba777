//! The condition `ca.key-online`: this node may sign, and the key of an authority does; of the one that it is about, else of the one that issues
//! people's certificates.

use async_trait::async_trait;

use crate::activities::Services;
use crate::engine::contract::Condition;
use crate::issuance::{Issuance, NodeClock};

pub struct KeyOnline {
    issuance: Issuance,
    node_clock: NodeClock,
}

impl From<&Services> for KeyOnline {
    fn from(services: &Services) -> Self {
        Self { issuance: services.issuance.clone(), node_clock: services.node_clock.clone() }
    }
}

#[async_trait]
impl Condition for KeyOnline {
    const NAME: &'static str = "ca.key-online";

    async fn holds(&self, subject: Option<&str>) -> bool {
        // Without an answer of the database nothing goes on anyway.
        if !self.node_clock.is_right().await.unwrap_or(false) {
            return false;
        }
        let issuer = match subject {
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
