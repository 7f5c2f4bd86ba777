//! Accounts of programs.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};

use super::database::tables::service_account;
use super::database::{self, Fetch, OfTenant};
use super::{Access, StoreError, Tx};

pub use super::database::tables::service_account::ServiceAccountRecord;

/// Prefix of the login of every program; no person's login has a colon.
const PREFIX: &str = "service:";

impl ServiceAccountRecord {
    /// As the engine, the history and the audit name it.
    pub fn login(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}

pub async fn insert(tx: &Tx, record: ServiceAccountRecord) -> Result<(), StoreError> {
    database::insert(tx, record, "service account").await
}

/// Whether a login is a program's.
pub fn is_login(login: &str) -> bool {
    login.starts_with(PREFIX)
}

/// The account of a token, by the token's digest; none that was revoked.
pub async fn of_token(access: &impl Access, digest: &str) -> Result<Option<ServiceAccountRecord>, StoreError> {
    service_account::Entity::find_of(access)
        .filter(service_account::Column::TokenDigest.eq(digest))
        .filter(service_account::Column::RevokedAt.is_null())
        .fetch_one(access)
        .await
}

pub async fn list(access: &impl Access) -> Result<Vec<ServiceAccountRecord>, StoreError> {
    service_account::Entity::find_of(access).order_by_asc(service_account::Column::Name).fetch_all(access).await
}

/// `false` when there is no such account, or it was revoked before.
pub async fn revoke(tx: &Tx, name: &str, at: i64) -> Result<bool, StoreError> {
    let updated = service_account::Entity::update_of(tx)
        .col_expr(service_account::Column::RevokedAt, Expr::value(at))
        .filter(service_account::Column::Name.eq(name))
        .filter(service_account::Column::RevokedAt.is_null())
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected == 1)
}
