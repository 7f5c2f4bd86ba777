//! Released definitions.

use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};

use super::entities::definition;
use super::{Access, StoreError, Tx};

pub use super::entities::definition::Model as DefinitionRow;

pub async fn find(access: &impl Access, name: &str, version: u32) -> Result<Option<DefinitionRow>, StoreError> {
    let id = (access.tenant().to_owned(), name.to_owned(), i64::from(version));
    Ok(definition::Entity::find_by_id(id).one(access.connection()).await?)
}

/// Every version that was ever released.
pub async fn all(access: &impl Access) -> Result<Vec<DefinitionRow>, StoreError> {
    let rows = definition::Entity::find()
        .filter(definition::Column::Tenant.eq(access.tenant()))
        .order_by_asc(definition::Column::Name)
        .order_by_asc(definition::Column::Version)
        .all(access.connection())
        .await?;
    Ok(rows)
}

pub async fn insert(tx: &Tx, row: DefinitionRow) -> Result<(), StoreError> {
    match definition::Entity::insert(row.into_active_model()).exec_without_returning(tx.connection()).await {
        Err(error) if StoreError::is_unique_violation(&error) => Err(StoreError::Exists("definition")),
        other => Ok(other.map(drop)?),
    }
}
