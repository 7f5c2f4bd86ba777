//! Revocation lists, and the certificates that they name.

use sea_orm::{ColumnTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};

use super::certificates::Status;
use super::database::tables::{certificate, revocation_list};
use super::database::{Fetch, OfTenant, insertion};
use super::{Access, StoreError, Tx};

pub use super::database::tables::revocation_list::RevocationListRecord;

impl RevocationListRecord {
    /// Whether relying parties take it: it is not over, and it has begun, which one that a clock ahead of the time has dated has not.
    pub fn is_good(&self, now: i64) -> bool {
        self.this_update <= now && now < self.next_update
    }

    /// Whether a restore has put it aside: others may have been published since.
    pub fn is_put_aside(&self) -> bool {
        self.next_update <= self.this_update
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
    let rows = certificate::Entity::find_of(access)
        .select_only()
        .columns([certificate::Column::Serial, certificate::Column::RevokedAt, certificate::Column::Reason])
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
pub async fn insert(tx: &Tx, row: RevocationListRecord) -> Result<(), StoreError> {
    revocation_list::Entity::delete_of(tx)
        .filter(revocation_list::Column::Authority.eq(row.authority.clone()))
        .filter(revocation_list::Column::NextUpdate.lt(row.this_update))
        .exec(tx.connection())
        .await?;
    insertion(tx, row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// The list with the highest number.
pub async fn latest(access: &impl Access, authority: &str) -> Result<Option<RevocationListRecord>, StoreError> {
    if !super::is_storable(authority) {
        return Ok(None);
    }
    revocation_list::Entity::find_of(access)
        .filter(revocation_list::Column::Authority.eq(authority))
        .order_by_desc(revocation_list::Column::Number)
        .fetch_one(access)
        .await
}
