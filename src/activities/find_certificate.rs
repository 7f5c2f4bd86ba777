//! `cards.find-certificate`: what an earlier personalization left in a slot, so that only the rest is made.

use std::convert::Infallible;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id;
use crate::cards::Card;
use crate::clock::milliseconds;
use crate::engine::contract::{Activity, Call, Failure, Planned};
use crate::issuance::{Certificate, SlotName};
use crate::store::certificates::CertificateRow;
use crate::store::{Tx, cards, certificates};

pub struct FindCertificate;

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
impl Activity for FindCertificate {
    const NAME: &'static str = "cards.find-certificate";

    type Parameters = Parameters;
    type Plan = ();
    type Performed = Infallible;
    type Outcome = Outcome;

    async fn plan(&self, tx: &Tx, call: &Call, parameters: Parameters) -> Result<Planned<(), Outcome>, Failure> {
        let slot = parameters.slot.to_protocol().as_str();
        let (card, now) = (id(&parameters.card.id)?, milliseconds(call.now));
        let keys = cards::keys(tx, card).await?;
        let installed = keys.into_iter().find(|key| key.slot == slot).and_then(|key| key.certificate);
        let is_valid =
            |row: &CertificateRow| row.slot.as_deref() == Some(slot) && row.status == "issued" && row.not_after > now;
        let mut valid = certificates::of_card(tx, card).await?;
        valid.retain(is_valid);
        let fits = |row: &&CertificateRow| Some(row.id) == installed && row.profile == parameters.profile;
        Ok(Planned::Done(match valid.iter().find(fits) {
            Some(row) => Outcome::Found(Certificate::from_row(row)),
            None if valid.is_empty() => Outcome::None,
            None => Outcome::Occupied,
        }))
    }

    async fn perform(&self, _: &Call, (): &()) -> Result<Infallible, Failure> {
        Err(Failure::Fail { class: "unplanned" })
    }

    async fn record(&self, _: &Tx, _: &Call, (): (), performed: &Infallible) -> Result<Outcome, Failure> {
        match *performed {}
    }
}
