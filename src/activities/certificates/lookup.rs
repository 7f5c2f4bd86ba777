//! Certificates as the subject of a start.

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use crate::activities::Services;
use crate::engine::contract::SubjectLookup;
use crate::issuance::Certificate;
use crate::store::certificates::Status;
use crate::store::{Access, StoreError, certificates};

pub struct CertificateLookup;

impl From<&Services> for CertificateLookup {
    fn from(_: &Services) -> Self {
        Self
    }
}

#[async_trait]
impl SubjectLookup for CertificateLookup {
    const TYPE: &'static str = "certificate";

    async fn find(&self, access: &impl Access, id: Uuid) -> Result<Option<(Value, String)>, StoreError> {
        let row = certificates::find(access, id).await?.filter(|row| !row.is(Status::Intended));
        let Some(row) = row else { return Ok(None) };
        let record = serde_json::to_value(Certificate::from_row(&row))
            .map_err(|error| StoreError::Inconsistent { table: "certificate", why: error.to_string() })?;
        Ok(Some((record, row.owner_login)))
    }
}
