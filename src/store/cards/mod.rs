//! Cards, the keys on them, and their sealed secrets.

mod keys;
mod secrets;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QueryTrait};
use uuid::Uuid;

use super::database::tables::{card, sealed_secret};
use super::database::{self, Fetch, OfTenant};
use super::jobs::{self, Holder};
use super::{Access, StoreError, Tx};

pub use super::database::tables::card::{CardRecord, CardState, ManagementKind};
pub use keys::{CardKeyRecord, defer_key, keys, put_certificate, take_certificate};
pub use secrets::{Purpose, SealedSecretRecord, SecretState, confirm_secrets, insert_secrets, secrets};

pub async fn find(access: &impl Access, id: Uuid) -> Result<Option<CardRecord>, StoreError> {
    card::Entity::find_of(access).filter(card::Column::Id.eq(id)).fetch_one(access).await
}

pub async fn find_by_serial(access: &impl Access, serial: &str) -> Result<Option<CardRecord>, StoreError> {
    card::Entity::find_of(access).filter(card::Column::Serial.eq(serial)).fetch_one(access).await
}

pub async fn of_owner(access: &impl Access, login: &str) -> Result<Vec<CardRecord>, StoreError> {
    card::Entity::find_of(access)
        .filter(card::Column::OwnerLogin.eq(login))
        .order_by_asc(card::Column::Serial)
        .fetch_all(access)
        .await
}

/// Gives a person's cards to their present login, and takes from that login what a former holder of it has. Gives how many changed hands.
pub async fn follow_login(tx: &Tx, person: &str, login: &str) -> Result<u64, StoreError> {
    // It has none when somebody else came first under the one of before.
    let is_another = card::Column::OwnerLogin.is_null().or(card::Column::OwnerLogin.ne(login));
    let renamed = card::Column::Owner.eq(person).and(is_another);
    let reused = card::Column::Owner.ne(person).and(card::Column::OwnerLogin.eq(login));
    let mut changed = 0;
    for (which, login) in [(renamed, Some(login)), (reused, None)] {
        let updated = card::Entity::update_of(tx)
            .col_expr(card::Column::OwnerLogin, Expr::value(login))
            .filter(which)
            .exec(tx.connection())
            .await?;
        changed += updated.rows_affected;
    }
    Ok(changed)
}

pub async fn insert(tx: &Tx, record: CardRecord) -> Result<(), StoreError> {
    database::insert(tx, record, "card").await
}

pub async fn update(tx: &Tx, row: &CardRecord) -> Result<(), StoreError> {
    let mut update = card::Entity::update_of(tx);
    // A state that only another release knows is read as foreign, and stays what it is.
    if row.state != CardState::Foreign {
        update = update.col_expr(card::Column::State, Expr::value(row.state));
    }
    update
        .col_expr(card::Column::Owner, Expr::value(row.owner.clone()))
        .col_expr(card::Column::OwnerLogin, Expr::value(row.owner_login.clone()))
        .col_expr(card::Column::Management, Expr::value(row.management))
        .col_expr(card::Column::Reader, Expr::value(row.reader.clone()))
        .col_expr(card::Column::ChangedAt, Expr::value(row.changed_at))
        .filter(card::Column::Id.eq(row.id))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// The card with this serial number, and its newest secret for one purpose that no other one has followed; while an agent is to do a job.
pub async fn for_job(
    access: &impl Access,
    job: Uuid,
    agent: Holder,
    serial: &str,
    purpose: Purpose,
) -> Result<Option<(CardRecord, Option<SealedSecretRecord>)>, StoreError> {
    let of_card =
        Expr::col((sealed_secret::Entity, sealed_secret::Column::Card)).equals((card::Entity, card::Column::Id));
    let mut query = card::Entity::find_of(access)
        .select_also(sealed_secret::Entity)
        .filter(card::Column::Serial.eq(serial))
        .filter(Expr::exists(jobs::queued(access.tenant(), job, agent)))
        .order_by_desc(sealed_secret::Column::CreatedAt)
        .order_by_desc(sealed_secret::Column::Id);
    QueryTrait::query(&mut query).left_join(
        sealed_secret::Entity,
        Condition::all()
            .add(of_card)
            .add(sealed_secret::Entity::is_of(access.tenant()))
            .add(sealed_secret::Column::Purpose.eq(purpose))
            .add(sealed_secret::Column::State.ne(SecretState::Superseded)),
    );
    Ok(query.into_model::<CardRecord, SealedSecretRecord>().one(access.connection()).await?)
}
