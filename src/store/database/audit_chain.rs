//! Hash chain of the audit: each seal covers a row, its place and everything before it. Where there is one writer, a transaction
//! seals the rows that it writes.

use sea_orm::{DbBackend, FromQueryResult, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select, Statement};
use serde_json::json;

use super::tables::audit::AuditRecord;
use super::tables::audit_seal::{self, SealRecord};
use super::{Access, Fetch, OfTenant, StoreError, Tx};
use crate::random;

/// The hash that covers a row, its place and everything before it.
pub fn link(tenant: &str, before: &str, sequence: i64, row: &AuditRecord) -> String {
    let covered =
        json!([before, sequence, tenant, row.id, row.at, row.event, row.role, row.instance, row.request, row.personal]);
    random::digest(covered.to_string().as_bytes())
}

/// The seal of a row that follows the seal with the hash `before`.
fn seal(tenant: &str, before: &str, sequence: i64, row: &AuditRecord, sealed_at: i64) -> SealRecord {
    let hash = link(tenant, before, sequence, row);
    SealRecord { sequence, audit: row.id, hash, sealed_at }
}

/// The query for the last seal.
pub(in crate::store) fn last_of(tenant: &str) -> Select<audit_seal::Entity> {
    audit_seal::Entity::find_in(tenant).order_by_desc(audit_seal::Column::Sequence).limit(1)
}

/// End of the chain, which the next seal continues: the last sequence number and its hash.
#[derive(Clone, Debug, Default)]
pub struct ChainEnd {
    sequence: i64,
    hash: String,
}

impl ChainEnd {
    /// The query for it.
    pub fn question(tenant: &str, backend: DbBackend) -> Statement {
        last_of(tenant).build(backend)
    }

    /// Reads the answer to the query; no row where nothing is sealed yet.
    pub fn answer(row: Option<&QueryResult>) -> Result<Self, StoreError> {
        let seal = row.map(|row| SealRecord::from_query_result(row, "")).transpose()?;
        Ok(seal.map(Self::from).unwrap_or_default())
    }

    /// Finds it in a transaction that seals.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(tx: &Tx) -> Result<Self, StoreError> {
        match tx.chain_end() {
            Some(known) => Ok(known),
            None => Ok(last_of(tx.tenant()).fetch_one(tx).await?.map(Self::from).unwrap_or_default()),
        }
    }

    /// Makes the seals of rows that follow, numbers the rows, and moves behind them.
    pub fn seal(
        &mut self,
        tenant: &str,
        rows: &mut [AuditRecord],
        sealed_at: impl Fn(&AuditRecord) -> i64,
    ) -> Vec<SealRecord> {
        let mut seals = Vec::with_capacity(rows.len());
        for row in rows {
            let seal = seal(tenant, &self.hash, self.sequence + 1, row, sealed_at(row));
            row.sequence = Some(seal.sequence);
            (self.sequence, self.hash) = (seal.sequence, seal.hash.clone());
            seals.push(seal);
        }
        seals
    }
}

impl From<SealRecord> for ChainEnd {
    fn from(seal: SealRecord) -> Self {
        Self { sequence: seal.sequence, hash: seal.hash }
    }
}
