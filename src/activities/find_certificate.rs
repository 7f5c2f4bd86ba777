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
        let keys = cards::keys(tx, id(&parameters.card.id)?).await?;
        let installed = keys.into_iter().find(|key| key.slot == slot).and_then(|key| key.certificate);
        let Some(installed) = installed else { return Ok(Planned::Done(Outcome::None)) };
        let row = certificates::find(tx, installed).await?.ok_or(Failure::Fail { class: "certificate" })?;
        let fits =
            row.status == "issued" && row.not_after > milliseconds(call.now) && row.profile == parameters.profile;
        Ok(Planned::Done(if fits { Outcome::Found(Certificate::from_row(&row)) } else { Outcome::None }))
    }

    async fn perform(&self, _: &Call, (): &()) -> Result<Infallible, Failure> {
        Err(Failure::Fail { class: "unplanned" })
    }

    async fn record(&self, _: &Tx, _: &Call, (): (), performed: &Infallible) -> Result<Outcome, Failure> {
        match *performed {}
    }
}
