//! Certificates from the intent on (`intended`, `issued`, `revoked`), and revocation lists.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::entities::{certificate, revocation_list};
use super::{Access, StoreError, Tx};

pub use super::entities::certificate::Model as CertificateRow;
pub use super::entities::revocation_list::Model as RevocationListRow;

pub async fn insert(tx: &Tx, row: CertificateRow) -> Result<(), StoreError> {
    match certificate::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await {
        Err(error) if StoreError::is_unique_violation(&error) => Err(StoreError::Exists("certificate")),
        other => Ok(other.map(drop)?),
    }
}

pub async fn find(access: &impl Access, id: Uuid) -> Result<Option<CertificateRow>, StoreError> {
    let row = certificate::Entity::find_by_id(id)
        .filter(certificate::Column::Tenant.eq(access.tenant()))
        .one(access.connection())
        .await?;
    Ok(row)
}

/// The intent that a step stored, if it did.
pub async fn of_step(access: &impl Access, instance: Uuid, step: i64) -> Result<Option<CertificateRow>, StoreError> {
    let row = certificate::Entity::find()
        .filter(certificate::Column::Tenant.eq(access.tenant()))
        .filter(certificate::Column::Instance.eq(instance))
        .filter(certificate::Column::Step.eq(step))
        .one(access.connection())
        .await?;
    Ok(row)
}

pub async fn of_owner(access: &impl Access, login: &str) -> Result<Vec<CertificateRow>, StoreError> {
    let rows = certificate::Entity::find()
        .filter(certificate::Column::Tenant.eq(access.tenant()))
        .filter(certificate::Column::OwnerLogin.eq(login))
        .filter(certificate::Column::Status.ne("intended"))
        .order_by_desc(certificate::Column::CreatedAt)
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// Everything that was certified or is about to be, for one public key.
pub async fn of_key(access: &impl Access, digest: &str) -> Result<Vec<CertificateRow>, StoreError> {
    let rows = certificate::Entity::find()
        .filter(certificate::Column::Tenant.eq(access.tenant()))
        .filter(certificate::Column::PublicKeyDigest.eq(digest))
        .all(access.connection())
        .await?;
    Ok(rows)
}

pub async fn of_card(access: &impl Access, card: Uuid) -> Result<Vec<CertificateRow>, StoreError> {
    let rows = certificate::Entity::find()
        .filter(certificate::Column::Tenant.eq(access.tenant()))
        .filter(certificate::Column::Card.eq(card))
        .order_by_asc(certificate::Column::CreatedAt)
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// Records the one signature that counts; `false` when another one was recorded before.
pub async fn issue(tx: &Tx, id: Uuid, der: Vec<u8>, fingerprint: &str) -> Result<bool, StoreError> {
    let updated = certificate::Entity::update_many()
        .col_expr(certificate::Column::Certificate, Expr::value(der))
        .col_expr(certificate::Column::Fingerprint, Expr::value(fingerprint))
        .col_expr(certificate::Column::Status, Expr::value("issued"))
        .filter(certificate::Column::Tenant.eq(tx.tenant()))
        .filter(certificate::Column::Id.eq(id))
        .filter(certificate::Column::Status.eq("intended"))
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Revokes what was not revoked yet: the first date stays.
pub async fn revoke(tx: &Tx, id: Uuid, reason: &str, at: i64) -> Result<bool, StoreError> {
    let updated = certificate::Entity::update_many()
        .col_expr(certificate::Column::Status, Expr::value("revoked"))
        .col_expr(certificate::Column::Reason, Expr::value(reason))
        .col_expr(certificate::Column::RevokedAt, Expr::value(at))
        .filter(certificate::Column::Tenant.eq(tx.tenant()))
        .filter(certificate::Column::Id.eq(id))
        .filter(certificate::Column::Status.ne("revoked"))
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Revoked certificates of an authority that would still be valid.
pub async fn revoked(access: &impl Access, authority: &str, now: i64) -> Result<Vec<CertificateRow>, StoreError> {
    let rows = certificate::Entity::find()
        .filter(certificate::Column::Tenant.eq(access.tenant()))
        .filter(certificate::Column::Authority.eq(authority))
        .filter(certificate::Column::Status.eq("revoked"))
        .filter(certificate::Column::NotAfter.gte(now))
        .order_by_asc(certificate::Column::RevokedAt)
        .all(access.connection())
        .await?;
    Ok(rows)
}

pub async fn insert_list(tx: &Tx, row: RevocationListRow) -> Result<(), StoreError> {
    revocation_list::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The list with the highest number.
pub async fn latest_list(access: &impl Access, authority: &str) -> Result<Option<RevocationListRow>, StoreError> {
    let row = revocation_list::Entity::find()
        .filter(revocation_list::Column::Tenant.eq(access.tenant()))
        .filter(revocation_list::Column::Authority.eq(authority))
        .order_by_desc(revocation_list::Column::Number)
        .one(access.connection())
        .await?;
    Ok(row)
}
