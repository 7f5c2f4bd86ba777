//! Pairings of an agent with a person's page.

use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value as Json;
use uuid::Uuid;

use super::database::tables::pairing;
use super::database::{Fetch, OfTenant, insertion};
use super::{Access, StoreError, Tx};

pub use super::database::tables::pairing::{PairingEnd, PairingRecord, PairingState};

pub async fn insert(tx: &Tx, row: PairingRecord) -> Result<(), StoreError> {
    insertion(tx, row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// By the digest of either form of the code.
pub async fn find_by_code(access: &impl Access, digest: &str) -> Result<Option<PairingRecord>, StoreError> {
    let by_code =
        Condition::any().add(pairing::Column::CodeHash.eq(digest)).add(pairing::Column::ShortCodeHash.eq(digest));
    pairing::Entity::find_of(access).filter(by_code).order_by_desc(pairing::Column::CreatedAt).fetch_one(access).await
}

pub async fn lock(tx: &Tx, id: Uuid) -> Result<Option<PairingRecord>, StoreError> {
    pairing::Entity::find_of(tx).filter(pairing::Column::Id.eq(id)).lock(LockType::Update).fetch_one(tx).await
}

pub async fn find(access: &impl Access, id: Uuid) -> Result<Option<PairingRecord>, StoreError> {
    pairing::Entity::find_of(access).filter(pairing::Column::Id.eq(id)).fetch_one(access).await
}

/// The newest pairing of a root.
pub async fn latest(access: &impl Access, root: Uuid) -> Result<Option<PairingRecord>, StoreError> {
    pairing::Entity::find_of(access)
        .filter(pairing::Column::Root.eq(root))
        .order_by_desc(pairing::Column::CreatedAt)
        .order_by_desc(pairing::Column::Id)
        .fetch_one(access)
        .await
}

/// Writes everything that changes in a pairing's life.
pub async fn update(tx: &Tx, row: &PairingRecord) -> Result<(), StoreError> {
    pairing::Entity::update_of(tx)
        .col_expr(pairing::Column::State, Expr::value(row.state))
        .col_expr(pairing::Column::Host, Expr::value(row.host.clone()))
        .col_expr(pairing::Column::AgentKey, Expr::value(row.agent_key.clone()))
        .col_expr(pairing::Column::Readers, Expr::value(row.readers.clone()))
        .col_expr(pairing::Column::Number, Expr::value(row.number.clone()))
        .col_expr(pairing::Column::ConfirmedByPerson, Expr::value(row.confirmed_by_person))
        .col_expr(pairing::Column::ConfirmedByAgent, Expr::value(row.confirmed_by_agent))
        .col_expr(pairing::Column::Epoch, Expr::value(row.epoch))
        .col_expr(pairing::Column::Node, Expr::value(row.node.clone()))
        .col_expr(pairing::Column::SeenAt, Expr::value(row.seen_at))
        .col_expr(pairing::Column::GoneAt, Expr::value(row.gone_at))
        .col_expr(pairing::Column::EndedBy, Expr::value(row.ended_by))
        .col_expr(pairing::Column::Capabilities, Expr::value(row.capabilities.clone()))
        .filter(pairing::Column::Id.eq(row.id))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Refreshes the lease of the connection that holds a pairing, and its readers where they are given.
pub async fn refresh(tx: &Tx, id: Uuid, epoch: i64, now: i64, readers: Option<Json>) -> Result<(), StoreError> {
    let mut update = pairing::Entity::update_of(tx).col_expr(pairing::Column::SeenAt, Expr::value(now));
    if readers.is_some() {
        update = update.col_expr(pairing::Column::Readers, Expr::value(readers));
    }
    update.filter(pairing::Column::Id.eq(id)).filter(pairing::Column::Epoch.eq(epoch)).exec(tx.connection()).await?;
    Ok(())
}

/// Ends every other pairing of a root: one agent at a time. None of them comes back.
pub async fn end_others(tx: &Tx, root: Uuid, except: Uuid) -> Result<(), StoreError> {
    pairing::Entity::update_of(tx)
        .col_expr(pairing::Column::State, Expr::value(PairingState::Ended))
        .col_expr(pairing::Column::EndedBy, Expr::value(None::<PairingEnd>))
        .filter(pairing::Column::Root.eq(root))
        .filter(pairing::Column::Id.ne(except))
        .exec(tx.connection())
        .await?;
    Ok(())
}
