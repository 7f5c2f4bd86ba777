//! Browser sessions.

use sea_orm::{
    ColumnTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};

use super::database::tables::session;
use super::database::{Fetch, OfTenant, insertion};
use super::{Access, StoreError, Tx};

pub use super::database::tables::session::SessionRecord;

/// Writes a session down, or its role if it is there.
pub async fn put(tx: &Tx, row: SessionRecord) -> Result<(), StoreError> {
    insertion(tx, row)
        .on_conflict(
            OnConflict::column(session::Column::Id)
                .update_columns([
                    session::Column::Role,
                    session::Column::RoleCheckedAt,
                    session::Column::RoleUnansweredAt,
                    session::Column::SeenAt,
                ])
                .to_owned(),
        )
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

pub async fn find(access: &impl Access, id: &str) -> Result<Option<SessionRecord>, StoreError> {
    session::Entity::find_of(access).filter(session::Column::Id.eq(id)).fetch_one(access).await
}

/// Sets the role, when it was checked and since when that brought no answer, if the session has the role `before` still.
pub async fn set_role(
    tx: &Tx,
    id: &str,
    before: &str,
    role: Option<&str>,
    checked_at: Option<i64>,
    unanswered_at: Option<i64>,
) -> Result<bool, StoreError> {
    let updated = session::Entity::update_of(tx)
        .col_expr(session::Column::Role, Expr::value(role.map(str::to_owned)))
        .col_expr(session::Column::RoleCheckedAt, Expr::value(checked_at))
        .col_expr(session::Column::RoleUnansweredAt, Expr::value(unanswered_at))
        .filter(session::Column::Id.eq(id))
        .filter(session::Column::Role.eq(before))
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected == 1)
}

pub async fn touch(tx: &Tx, id: &str, seen_at: i64) -> Result<(), StoreError> {
    session::Entity::update_of(tx)
        .col_expr(session::Column::SeenAt, Expr::value(seen_at))
        .filter(session::Column::Id.eq(id))
        .exec(tx.connection())
        .await?;
    Ok(())
}

pub async fn remove(tx: &Tx, id: &str) -> Result<(), StoreError> {
    session::Entity::delete_of(tx).filter(session::Column::Id.eq(id)).exec(tx.connection()).await?;
    Ok(())
}

/// Forgets sessions that were not seen since `before`.
pub async fn expire(tx: &Tx, before: i64) -> Result<u64, StoreError> {
    let deleted =
        session::Entity::delete_of(tx).filter(session::Column::SeenAt.lt(before)).exec(tx.connection()).await?;
    Ok(deleted.rows_affected)
}
