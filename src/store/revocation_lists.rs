//! Revocation lists, and the certificates that they name.

use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use super::certificates::Status;
use super::entities::{certificate, revocation_list};
use super::{Access, StoreError, Tx};

pub use super::entities::revocation_list::Model as RevocationListRow;

impl RevocationListRow {
    /// Whether relying parties take it: it is not over, and it has begun, which one that a clock ahead of the time has dated has not.
    pub fn is_good(&self, now: i64) -> bool {
        self.this_update <= now && now < self.next_update
    }
}

/// The entry of a list for one certificate.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Entry {
    pub serial: String,
    pub revoked_at: Option<i64>,
    pub reason: Option<String>,
}

/// Revoked and suspended certificates of an authority that have not expired before `since`.
pub async fn revoked(access: &impl Access, authority: &str, since: i64) -> Result<Vec<Entry>, StoreError> {
    let rows = certificate::Entity::find()
        .select_only()
        .columns([certificate::Column::Serial, certificate::Column::RevokedAt, certificate::Column::Reason])
        .filter(certificate::Column::Tenant.eq(access.tenant()))
        .filter(certificate::Column::Authority.eq(authority))
        .filter(certificate::Column::Status.is_in([Status::Revoked, Status::Suspended]))
        .filter(certificate::Column::RevokedAt.is_not_null())
        .filter(certificate::Column::NotAfter.gte(since))
        .order_by_asc(certificate::Column::RevokedAt)
        .into_model::<Entry>()
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// Stores a list; those of the authority that are over go, for every revocation makes one as long as all of them together.
pub async fn insert(tx: &Tx, row: RevocationListRow) -> Result<(), StoreError> {
    revocation_list::Entity::delete_many()
        .filter(revocation_list::Column::Tenant.eq(tx.tenant()))
        .filter(revocation_list::Column::Authority.eq(row.authority.clone()))
        .filter(revocation_list::Column::NextUpdate.lt(row.this_update))
        .exec(tx.connection())
        .await?;
    revocation_list::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The list with the highest number.
pub async fn latest(access: &impl Access, authority: &str) -> Result<Option<RevocationListRow>, StoreError> {
    if !super::is_storable(authority) {
        return Ok(None);
    }
    let row = revocation_list::Entity::find()
        .filter(revocation_list::Column::Tenant.eq(access.tenant()))
        .filter(revocation_list::Column::Authority.eq(authority))
        .order_by_desc(revocation_list::Column::Number)
        .one(access.connection())
        .await?;
    Ok(row)
}
