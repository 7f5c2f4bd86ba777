//! Facts of a database that tests compare: rows of every subject, counted by state or event.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cards::SecretState;
use super::database::tables::{audit, card, certificate, revocation_list, sealed_secret};
use super::database::{Fetch, OfTenant};
use super::{Access, StoreError};

/// Certificates, cards and secrets by state, and how many revocation lists there are.
pub(crate) async fn effects(access: &impl Access) -> Result<Value, StoreError> {
    let certificates = certificate::Entity::find_of(access).fetch_all(access).await?;
    let cards = card::Entity::find_of(access).fetch_all(access).await?;
    let secrets = sealed_secret::Entity::find_of(access).fetch_all(access).await?;
    let lists = revocation_list::Entity::find_of(access).fetch_all(access).await?;
    Ok(json!({
        "certificates": count(certificates.into_iter().map(|row| row.status.as_str())),
        "cards": count(cards.into_iter().map(|row| row.state.as_str())),
        // Pending ones may be on a card that has not answered: they are kept, and tried again.
        "secrets": secrets.iter().filter(|row| row.state == SecretState::Confirmed).count(),
        "lists": lists.len(),
    }))
}

/// Audit rows by event.
pub(crate) async fn audited(access: &impl Access) -> Result<BTreeMap<String, usize>, StoreError> {
    let rows = audit::Entity::find_of(access).fetch_all(access).await?;
    Ok(count(rows.into_iter().map(|row| row.event)))
}

fn count(words: impl Iterator<Item = impl Into<String>>) -> BTreeMap<String, usize> {
    words.fold(BTreeMap::new(), |mut counts, word| {
        *counts.entry(word.into()).or_default() += 1;
        counts
    })
}
