//! Keys that were made on cards, and their certificates.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QueryTrait};
use uuid::Uuid;

use crate::store::database::tables::card_key;
use crate::store::database::{Fetch, OfTenant, Statement, insertion};
use crate::store::{Access, StoreError, Tx};

pub use crate::store::database::tables::card_key::CardKeyRecord;

/// Defers to COMMIT the record of the key that was made in a slot; it has no certificate yet.
pub fn defer_key(tx: &Tx, row: CardKeyRecord) {
    let made = insertion(tx, row).on_conflict(
        OnConflict::columns([card_key::Column::Card, card_key::Column::Slot])
            .update_columns([card_key::Column::Algorithm, card_key::Column::Certificate, card_key::Column::ChangedAt])
            .to_owned(),
    );
    tx.pending.execute(Statement::Insert(made.into_query()));
}

/// Remembers which certificate was written into the slot of a key.
pub async fn put_certificate(tx: &Tx, card: Uuid, slot: &str, certificate: Uuid, at: i64) -> Result<(), StoreError> {
    set_certificate(tx, card, slot, Some(certificate), at).await
}

/// The slot has none any more.
pub async fn take_certificate(tx: &Tx, card: Uuid, slot: &str, at: i64) -> Result<(), StoreError> {
    set_certificate(tx, card, slot, None, at).await
}

async fn set_certificate(
    tx: &Tx,
    card: Uuid,
    slot: &str,
    certificate: Option<Uuid>,
    at: i64,
) -> Result<(), StoreError> {
    let updated = card_key::Entity::update_of(tx)
        .col_expr(card_key::Column::Certificate, Expr::value(certificate))
        .col_expr(card_key::Column::ChangedAt, Expr::value(at))
        .filter(card_key::Column::Card.eq(card))
        .filter(card_key::Column::Slot.eq(slot))
        .exec(tx.connection())
        .await?;
    if updated.rows_affected == 1 {
        return Ok(());
    }
    Err(StoreError::Inconsistent { table: "card_key", why: format!("no key was made in slot {slot}") })
}

pub async fn keys(access: &impl Access, card: Uuid) -> Result<Vec<CardKeyRecord>, StoreError> {
    card_key::Entity::find_of(access)
        .filter(card_key::Column::Card.eq(card))
        .order_by_asc(card_key::Column::Slot)
        .fetch_all(access)
        .await
}
