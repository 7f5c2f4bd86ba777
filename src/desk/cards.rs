//! Cards of the caller, with the keys that were made on them.

use crate::engine::EngineError;
use crate::engine::verbs::Caller;
use crate::store::cards::{CardKeyRecord, CardRecord};
use crate::store::{Store, cards};

/// A card and its keys.
pub struct Card {
    pub card: CardRecord,
    pub keys: Vec<CardKeyRecord>,
}

/// The caller's own cards.
///
/// # Errors
/// [`EngineError::Store`].
pub async fn own(store: &Store, caller: &Caller) -> Result<Vec<Card>, EngineError> {
    let reader = store.read();
    let mut own = Vec::new();
    for card in cards::of_owner(reader, &caller.actor.person.login).await? {
        let keys = cards::keys(reader, card.id).await?;
        own.push(Card { card, keys });
    }
    Ok(own)
}
