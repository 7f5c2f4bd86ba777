//! Released definitions.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};

use super::database::tables::definition;
use super::database::{self, Fetch, OfTenant};
use super::{Access, StoreError, Tx};

pub use super::database::tables::definition::DefinitionRecord;

pub async fn find(access: &impl Access, name: &str, version: u32) -> Result<Option<DefinitionRecord>, StoreError> {
    definition::Entity::find_of(access)
        .filter(definition::Column::Name.eq(name))
        .filter(definition::Column::Version.eq(i64::from(version)))
        .fetch_one(access)
        .await
}

/// Every version that was ever released.
pub async fn all(access: &impl Access) -> Result<Vec<DefinitionRecord>, StoreError> {
    definition::Entity::find_of(access)
        .order_by_asc(definition::Column::Name)
        .order_by_asc(definition::Column::Version)
        .fetch_all(access)
        .await
}

pub async fn insert(tx: &Tx, record: DefinitionRecord) -> Result<(), StoreError> {
    database::insert(tx, record, "definition").await
}
