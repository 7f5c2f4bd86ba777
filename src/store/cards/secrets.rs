//! Sealed secrets of cards.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::store::database::tables::sealed_secret;
use crate::store::database::{Fetch, OfTenant, Record};
use crate::store::{Access, StoreError, Tx};

pub use crate::store::database::tables::sealed_secret::{Purpose, SealedSecretRecord, SecretState};

pub async fn insert_secrets(tx: &Tx, rows: Vec<SealedSecretRecord>) -> Result<(), StoreError> {
    let rows = rows.into_iter().map(|secret| secret.into_row(tx.tenant()));
    sealed_secret::Entity::insert_many(rows).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The secrets of a card, for all purposes, the newest first.
pub async fn secrets(access: &impl Access, card: Uuid) -> Result<Vec<SealedSecretRecord>, StoreError> {
    sealed_secret::Entity::find_of(access)
        .filter(sealed_secret::Column::Card.eq(card))
        .order_by_desc(sealed_secret::Column::CreatedAt)
        .order_by_desc(sealed_secret::Column::Id)
        .fetch_all(access)
        .await
}

/// Confirms the pending secrets of a card, which are on it now, and supersedes those before them.
pub async fn confirm_secrets(tx: &Tx, card: Uuid) -> Result<(), StoreError> {
    let next = Expr::case(sealed_secret::Column::State.eq(SecretState::Pending), SecretState::Confirmed)
        .finally(SecretState::Superseded);
    sealed_secret::Entity::update_of(tx)
        .col_expr(sealed_secret::Column::State, next.into())
        .filter(sealed_secret::Column::Card.eq(card))
        .filter(sealed_secret::Column::State.is_in([SecretState::Pending, SecretState::Confirmed]))
        .exec(tx.connection())
        .await?;
    Ok(())
}
