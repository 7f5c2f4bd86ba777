//! Questions that wait for somebody in a role.

use std::collections::BTreeSet;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::database::tables::task::{self, TaskRecord};
use super::database::{OfTenant, Record};
use super::{Access, StoreError, Tx};

/// Puts an instance's question on the lists of these roles.
pub async fn insert(tx: &Tx, instance: Uuid, roles: BTreeSet<&str>) -> Result<(), StoreError> {
    let rows = roles.into_iter().map(|role| TaskRecord { instance, role: role.to_owned() }.into_row(tx.tenant()));
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        task::Entity::insert_many(rows).exec_without_returning(tx.connection()).await?;
    }
    Ok(())
}

pub async fn remove(tx: &Tx, instance: Uuid) -> Result<(), StoreError> {
    task::Entity::delete_of(tx).filter(task::Column::Instance.eq(instance)).exec(tx.connection()).await?;
    Ok(())
}
