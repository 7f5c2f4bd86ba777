//! Pairings of an agent with a person's page.

use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use uuid::Uuid;

use super::database::stored_as_word;
use super::entities::pairing;
use super::{Access, StoreError, Tx};

pub use super::entities::pairing::Model as PairingRow;

/// Where a pairing is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairingState {
    Offered,
    Redeemed,
    Confirmed,
    Ended,
}

stored_as_word!(PairingState of "pairing" {
    Offered = "offered",
    Redeemed = "redeemed",
    Confirmed = "confirmed",
    Ended = "ended",
});

pub async fn insert(tx: &Tx, row: PairingRow) -> Result<(), StoreError> {
    pairing::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// By the digest of either form of the code.
pub async fn find_by_code(access: &impl Access, digest: &str) -> Result<Option<PairingRow>, StoreError> {
    let by_code =
        Condition::any().add(pairing::Column::CodeHash.eq(digest)).add(pairing::Column::ShortCodeHash.eq(digest));
    let row = pairing::Entity::find()
        .filter(pairing::Column::Tenant.eq(access.tenant()))
        .filter(by_code)
        .order_by_desc(pairing::Column::CreatedAt)
        .one(access.connection())
        .await?;
    Ok(row)
}

pub async fn lock(tx: &Tx, id: Uuid) -> Result<Option<PairingRow>, StoreError> {
    let row = pairing::Entity::find_by_id(id)
        .filter(pairing::Column::Tenant.eq(tx.tenant()))
        .lock(LockType::Update)
        .one(tx.connection())
        .await?;
    Ok(row)
}

pub async fn find(access: &impl Access, id: Uuid) -> Result<Option<PairingRow>, StoreError> {
    let row = pairing::Entity::find_by_id(id)
        .filter(pairing::Column::Tenant.eq(access.tenant()))
        .one(access.connection())
        .await?;
    Ok(row)
}

/// The newest pairing of a root.
pub async fn latest(access: &impl Access, root: Uuid) -> Result<Option<PairingRow>, StoreError> {
    let row = pairing::Entity::find()
        .filter(pairing::Column::Tenant.eq(access.tenant()))
        .filter(pairing::Column::Root.eq(root))
        .order_by_desc(pairing::Column::CreatedAt)
        .order_by_desc(pairing::Column::Id)
        .one(access.connection())
        .await?;
    Ok(row)
}

/// Writes everything that changes in a pairing's life.
pub async fn update(tx: &Tx, row: &PairingRow) -> Result<(), StoreError> {
    pairing::Entity::update_many()
        .col_expr(pairing::Column::State, Expr::value(row.state))
        .col_expr(pairing::Column::Host, Expr::value(row.host.clone()))
        .col_expr(pairing::Column::AgentKey, Expr::value(row.agent_key.clone()))
        .col_expr(pairing::Column::Readers, Expr::value(row.readers.clone()))
        .col_expr(pairing::Column::Number, Expr::value(row.number.clone()))
        .col_expr(pairing::Column::ConfirmedByPerson, Expr::value(row.confirmed_by_person))
        .col_expr(pairing::Column::ConfirmedByAgent, Expr::value(row.confirmed_by_agent))
        .col_expr(pairing::Column::Epoch, Expr::value(row.epoch))
        .col_expr(pairing::Column::Node, Expr::value(row.node.clone()))
        .filter(pairing::Column::Tenant.eq(tx.tenant()))
        .filter(pairing::Column::Id.eq(row.id))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Ends every other pairing of a root: one agent at a time.
pub async fn end_others(tx: &Tx, root: Uuid, except: Uuid) -> Result<(), StoreError> {
    pairing::Entity::update_many()
        .col_expr(pairing::Column::State, Expr::value(PairingState::Ended))
        .filter(pairing::Column::Tenant.eq(tx.tenant()))
        .filter(pairing::Column::Root.eq(root))
        .filter(pairing::Column::Id.ne(except))
        .exec(tx.connection())
        .await?;
    Ok(())
}
