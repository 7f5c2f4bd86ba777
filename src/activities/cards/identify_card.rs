//! The card job `identify`: which card it is, whether it is the one that it says it is, and whether it may be written.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use sealwright_protocol::{
    Bytes, CardFacts, Instruction, MOST_CERTIFICATES, Management, ManagementKeyAlgorithm, Report,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{log_refusal, nonce};
use crate::activities::{Services, Stock};
use crate::audit;
use crate::cards::sealing::{Purpose, SealingKey};
use crate::cards::{Card, CardState, ManagementKind, management_key};
use crate::clock::milliseconds;
use crate::directory::Person;
use crate::engine::contract::{Call, CardJob, Failure};
use crate::random;
use crate::store::cards::{CardRecord, SecretState};
use crate::store::{Tx, cards, certificates, instances};

pub struct IdentifyCard {
    stock: Stock,
    sealing: Arc<SealingKey>,
}

impl From<&Services> for IdentifyCard {
    fn from(services: &Services) -> Self {
        Self { stock: services.stock.clone(), sealing: services.sealing.clone() }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Parameters {
    person: Person,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    person: Person,
    /// The portal's challenge to the card is the beginning of this.
    nonce: Bytes,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The person's, or nobody's yet, and to be written.
    Identified(Card),
    /// It has another owner.
    SomeoneElses(Card),
    /// It was reported, is worn out, or is not known here.
    NotUsable(Card),
    Unsupported,
    /// Another open workflow has this card.
    InUse,
}

#[async_trait]
impl CardJob for IdentifyCard {
    const NAME: &'static str = "identify";

    type Parameters = Parameters;
    type Plan = Plan;
    type Outcome = Outcome;

    async fn plan(&self, _: &Tx, _: &Call, parameters: Parameters) -> Result<(Option<Uuid>, Plan), Failure> {
        Ok((None, Plan { person: parameters.person, nonce: nonce()? }))
    }

    async fn instruction(&self, _: &Plan) -> Result<Instruction, Failure> {
        Ok(Instruction::Identify)
    }

    async fn record(&self, tx: &Tx, call: &Call, plan: Plan, report: Report) -> Result<Option<Outcome>, Failure> {
        let facts = match report {
            Report::Identified(facts) if is_plausible(&facts) => facts,
            Report::Identified(_) => return Ok(None),
            Report::Refused { reason } => {
                log_refusal(Self::NAME, reason);
                return Ok(Some(Outcome::Unsupported));
            }
            _ => return Ok(None),
        };
        // Lock: one of two people who say at once that they have a card without an owner gets it.
        tx.lock(&format!("card {}", facts.serial)).await?;
        let known = cards::find_by_serial(tx, &facts.serial).await?;
        let card = match known {
            Some(row) => self.known(tx, call, &plan, &facts, row).await?,
            None => match self.register(tx, call, &plan, &facts).await? {
                Some(card) => card,
                None => {
                    // Nothing is remembered of a card that is not ours.
                    return Ok(Some(Outcome::NotUsable(Card {
                        id: format!("unregistered:{}", facts.serial),
                        serial: facts.serial,
                        state: CardState::Foreign,
                        owner: None,
                        has_factory_secrets: false,
                    })));
                }
            },
        };
        let holder = instances::holder(tx, "card", &card.id).await?;
        if holder.is_some_and(|holder| holder != call.root) {
            return Ok(Some(Outcome::InUse));
        }
        Ok(Some(if card.owner.as_ref().is_some_and(|owner| *owner != plan.person.id) {
            Outcome::SomeoneElses(card)
        } else if card.state.is_usable() {
            Outcome::Identified(card)
        } else {
            Outcome::NotUsable(card)
        }))
    }
}

impl IdentifyCard {
    /// A card of the inventory: it must show that it is that card, unless it still has the factory's secrets, as the portal expects.
    async fn known(
        &self,
        tx: &Tx,
        call: &Call,
        plan: &Plan,
        facts: &CardFacts,
        mut row: CardRecord,
    ) -> Result<Card, Failure> {
        let management = ManagementKind::from(&facts.management);
        let mut secrets = cards::secrets(tx, row.id).await?;
        secrets.retain(|secret| secret.purpose == management.purpose());
        let expects_factory = !secrets.iter().any(|secret| secret.state == SecretState::Confirmed);
        let is_same_kind = row.management.purpose() == management.purpose();
        let (is_that_card, is_factory) = match &facts.management {
            Management::ManagementKey { algorithm, is_factory, authentication } => {
                let proved = secrets.iter().any(|secret| {
                    let key = self.sealing.open(row.id, Purpose::ManagementKey, &secret.clone().into());
                    key.is_ok_and(|key| authentic(*algorithm, &key, &plan.nonce, authentication.as_ref()))
                });
                (proved || (expects_factory && *is_factory), *is_factory)
            }
            Management::SoPin => (self.stock.factory_so_pin.is_some(), false),
        };
        // A token proves nothing of itself: it is known by its number, and by holding nothing but what was put there.
        let must_be_ours = is_factory || management == ManagementKind::SoPin;
        // Secrets that were sent and never confirmed are replaced again.
        let mut card = Card::from_row(&row, is_factory || expects_factory);
        if !is_that_card || !is_same_kind {
            tracing::warn!(serial = facts.serial, "a card does not prove that it is the one it says it is");
            card.state = CardState::Foreign;
            return Ok(card);
        }
        if must_be_ours && !self.is_blank_but_ours(tx, &row, facts).await? {
            card.state = CardState::Foreign;
            return Ok(card);
        }
        // Blank and never finished by the person before: it may become somebody else's.
        if row.owner.is_none() && row.state == CardState::Stock {
            row.owner = Some(plan.person.id.clone());
            row.owner_login = Some(call.instance.owner.login.clone());
            row.state = CardState::Assigned;
            card.owner.clone_from(&row.owner);
            card.state = CardState::Assigned;
        }
        // A number is easily said: of somebody else's card nothing is noted.
        if row.owner.as_deref() != Some(plan.person.id.as_str()) {
            return Ok(card);
        }
        if management == ManagementKind::SoPin {
            self.forget_what_is_gone(tx, call, &row, facts).await?;
        }
        row.reader = Some(facts.reader.clone());
        row.changed_at = milliseconds(call.now);
        cards::update(tx, &row).await?;
        Ok(card)
    }

    /// Certificates on the card are ones that the portal put there.
    async fn is_blank_but_ours(&self, tx: &Tx, row: &CardRecord, facts: &CardFacts) -> Result<bool, Failure> {
        let ours = certificates::of_card(tx, row.id).await?;
        Ok(facts
            .certificates
            .iter()
            .all(|(_, found)| ours.iter().any(|known| known.certificate.as_ref() == Some(&found.0))))
    }

    /// Whoever has a token's PIN can delete what is on it: a certificate that it does not show is not installed any more.
    async fn forget_what_is_gone(
        &self,
        tx: &Tx,
        call: &Call,
        row: &CardRecord,
        facts: &CardFacts,
    ) -> Result<(), Failure> {
        let ours = certificates::of_card(tx, row.id).await?;
        let is_there = |id: Uuid| {
            let known = ours.iter().find(|known| known.id == id).and_then(|known| known.certificate.as_ref());
            facts.certificates.iter().any(|(_, found)| Some(&found.0) == known)
        };
        for key in cards::keys(tx, row.id).await? {
            if key.certificate.is_some_and(|id| !is_there(id)) {
                tracing::warn!(serial = facts.serial, slot = key.slot, "a token has lost a certificate");
                cards::take_certificate(tx, row.id, &key.slot, milliseconds(call.now)).await?;
            }
        }
        Ok(())
    }

    /// An unknown card: blank, in stock and with the factory's secrets, or nothing.
    async fn register(&self, tx: &Tx, call: &Call, plan: &Plan, facts: &CardFacts) -> Result<Option<Card>, Failure> {
        let is_ours_to_take = match &facts.management {
            Management::ManagementKey { is_factory, .. } => *is_factory,
            Management::SoPin => self.stock.factory_so_pin.is_some(),
        };
        if !is_ours_to_take || !facts.certificates.is_empty() || !self.stock.has(&facts.serial) {
            return Ok(None);
        }
        let at = milliseconds(call.now);
        let row = CardRecord {
            id: random::id(),
            serial: facts.serial.clone(),
            state: CardState::Assigned,
            owner: Some(plan.person.id.clone()),
            owner_login: Some(call.instance.owner.login.clone()),
            management: ManagementKind::from(&facts.management),
            reader: Some(facts.reader.clone()),
            created_at: at,
            changed_at: at,
        };
        let event = audit::Event::CardRegistered {
            card: row.id.to_string(),
            serial: row.serial.clone(),
            owner: call.instance.owner.login.clone(),
        };
        let card = Card::from_row(&row, true);
        cards::insert(tx, row).await?;
        audit::record(tx, &call.origin, Some(call.root), at, &event)?;
        Ok(Some(card))
    }
}

/// A serial number as cards have them, and a reader's name as people read it: both are shown and kept.
fn is_plausible(facts: &CardFacts) -> bool {
    let serial =
        (1..=64).contains(&facts.serial.len()) && facts.serial.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let plain = |text: &str| text.chars().count() <= 128 && !text.chars().any(char::is_control);
    let counted = facts.certificates.len() <= MOST_CERTIFICATES;
    serial && plain(&facts.reader) && facts.version.as_deref().is_none_or(plain) && counted
}

fn authentic(algorithm: ManagementKeyAlgorithm, key: &[u8], nonce: &Bytes, response: Option<&Bytes>) -> bool {
    response.is_some_and(|response| management_key::is_authentic(algorithm, key, &nonce.0, &response.0))
}

#[cfg(test)]
mod tests {
    crate::testing::trial::trials! { Trial {
        data: &["person: person"],
        state: &["card: identify", "with: { person: person }"],
        further_states: "",
        prepare: |world| json!({ "person": world.personalize()["person"] }),
        outcome: "identified",
        failure: Failure::Breakage {
            break_it: |world| world.card.refuse(Some(sealwright_protocol::Refusal::Card)),
            mend: |world| world.card.refuse(None),
            end: Failed::By("unsupported"),
        },
    } }
}
