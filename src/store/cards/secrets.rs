//! Sealed secrets of cards.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::store::entities::sealed_secret;
use crate::store::{Access, StoreError, Tx};

pub use crate::store::entities::sealed_secret::Model as SealedSecretRow;

pub async fn insert_secrets(tx: &Tx, rows: Vec<SealedSecretRow>) -> Result<(), StoreError> {
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    sealed_secret::Entity::insert_many(rows).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The secrets of a card, for all purposes, the newest first.
pub async fn secrets(access: &impl Access, card: Uuid) -> Result<Vec<SealedSecretRow>, StoreError> {
    let rows = sealed_secret::Entity::find()
        .filter(sealed_secret::Column::Tenant.eq(access.tenant()))
        .filter(sealed_secret::Column::Card.eq(card))
        .order_by_desc(sealed_secret::Column::CreatedAt)
        .order_by_desc(sealed_secret::Column::Id)
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// What was to be set is on the card now: it is confirmed, and what was before it is superseded.
pub async fn confirm_secrets(tx: &Tx, card: Uuid) -> Result<(), StoreError> {
    let next = Expr::case(sealed_secret::Column::State.eq("pending"), "confirmed").finally("superseded");
    sealed_secret::Entity::update_many()
        .col_expr(sealed_secret::Column::State, next.into())
        .filter(sealed_secret::Column::Tenant.eq(tx.tenant()))
        .filter(sealed_secret::Column::Card.eq(card))
        .filter(sealed_secret::Column::State.is_in(["pending", "confirmed"]))
        .exec(tx.connection())
        .await?;
    Ok(())
}
