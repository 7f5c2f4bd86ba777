//! Accounts of programs.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::entities::service_account;
use super::{Access, StoreError, Tx};

pub use super::entities::service_account::Model as ServiceAccountRow;

pub async fn insert(tx: &Tx, row: ServiceAccountRow) -> Result<(), StoreError> {
    match service_account::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await {
        Err(error) if StoreError::is_unique_violation(&error) => Err(StoreError::Exists("service account")),
        other => Ok(other.map(drop)?),
    }
}

/// Whether a login is a program's.
pub fn is_login(login: &str) -> bool {
    login.starts_with(service_account::PREFIX)
}

/// The account of a token, by the token's digest; none that was revoked.
pub async fn of_token(access: &impl Access, digest: &str) -> Result<Option<ServiceAccountRow>, StoreError> {
    let row = service_account::Entity::find()
        .filter(service_account::Column::Tenant.eq(access.tenant()))
        .filter(service_account::Column::TokenDigest.eq(digest))
        .filter(service_account::Column::RevokedAt.is_null())
        .one(access.connection())
        .await?;
    Ok(row)
}

pub async fn list(access: &impl Access) -> Result<Vec<ServiceAccountRow>, StoreError> {
    let rows = service_account::Entity::find()
        .filter(service_account::Column::Tenant.eq(access.tenant()))
        .order_by_asc(service_account::Column::Name)
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// `false` when there is no such account, or it was revoked before.
pub async fn revoke(tx: &Tx, name: &str, at: i64) -> Result<bool, StoreError> {
    let updated = service_account::Entity::update_many()
        .col_expr(service_account::Column::RevokedAt, Expr::value(at))
        .filter(service_account::Column::Tenant.eq(tx.tenant()))
        .filter(service_account::Column::Name.eq(name))
        .filter(service_account::Column::RevokedAt.is_null())
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected == 1)
}
