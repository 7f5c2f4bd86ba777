//! `cards.find-certificate`: what an earlier personalization left in a slot, so that only the rest is made.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::activities::{Services, id};
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::engine::contract::{Call, Failure, LocalActivity};
use crate::issuance::{Certificate, SlotName};
use crate::store::certificates::{CertificateRecord, Status};
use crate::store::{Tx, cards, certificates};

pub struct FindCertificate;

impl From<&Services> for FindCertificate {
    fn from(_: &Services) -> Self {
        Self
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    card: Card,
    slot: SlotName,
    profile: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Issued by this profile, valid, and installed in this slot.
    Found(Certificate),
    /// Another valid certificate belongs to this slot: it is not overwritten.
    Occupied,
    None,
}

#[async_trait]
impl LocalActivity for FindCertificate {
    const NAME: &'static str = "cards.find-certificate";

    type Parameters = Parameters;
    type Outcome = Outcome;

    async fn run(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Outcome, Failure> {
        let slot = parameters.slot.to_protocol().as_str();
        let (card, now) = (id(&parameters.card.id)?, milliseconds(call.now));
        let keys = cards::keys(tx, card).await?;
        let installed = keys.into_iter().find(|key| key.slot == slot).and_then(|key| key.certificate);
        let is_in_use = |row: &CertificateRecord| row.slot.as_deref() == Some(slot) && row.is_in_use(now);
        let mut valid = certificates::of_card(tx, card).await?;
        valid.retain(is_in_use);
        let fits = |row: &&CertificateRecord| {
            Some(row.id) == installed && row.profile == parameters.profile && row.is(Status::Issued)
        };
        Ok(match valid.iter().find(fits) {
            Some(row) => Outcome::Found(Certificate::from_row(row)),
            None if valid.is_empty() => Outcome::None,
            None => Outcome::Occupied,
        })
    }
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["card: card", "profile: text"],
        state: &["do: cards.find-certificate", "with: { card: card, slot: 9c, profile: profile }"],
        further_states: "",
        prepare: |world| json!({ "card": world.personalize()["card"], "profile": "signature" }),
        outcome: "found",
        failure: Failure::Arguments { change: |given| given["card"]["id"] = json!("no id"), end: Failed::Stuck },
    } }
}
