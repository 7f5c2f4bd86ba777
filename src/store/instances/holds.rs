//! Holds: what one open tree has at a time.

use sea_orm::{ColumnTrait, QueryFilter, QueryTrait, TryInsertResult};
use uuid::Uuid;

use crate::store::database::tables::hold::{self, HoldRecord};
use crate::store::database::{Fetch, OfTenant, Statement, insertion};
use crate::store::{Access, StoreError, Tx};

/// Kind of the hold that a person has one of at a time; the key is the login.
pub const OWNER: &str = "owner";

/// Holds `key` for an instance; gives the instance that holds it already, if another one does.
pub async fn hold(tx: &Tx, what: &str, key: &str, instance: Uuid) -> Result<Option<Uuid>, StoreError> {
    loop {
        let row = HoldRecord { what: what.to_owned(), key: key.to_owned(), instance };
        let inserted = insertion(tx, row)
            .on_conflict_do_nothing_on([hold::Column::Tenant, hold::Column::What, hold::Column::Key])
            .exec_without_returning(tx.connection())
            .await?;
        if matches!(inserted, TryInsertResult::Inserted(1)) {
            return Ok(None);
        }
        // The holder may have let go meanwhile: then another try takes it.
        if let Some(holder) = holder(tx, what, key).await? {
            return Ok((holder != instance).then_some(holder));
        }
    }
}

/// Gives what a login holds to another login of the same person.
pub(super) async fn follow_login(tx: &Tx, former: &str, login: &str) -> Result<(), StoreError> {
    let held = hold::Entity::find_of(tx)
        .filter(hold::Column::What.eq(OWNER))
        .filter(hold::Column::Key.eq(former))
        .fetch_one(tx)
        .await?;
    if let Some(held) = held {
        hold::Entity::delete_of(tx)
            .filter(hold::Column::What.eq(held.what))
            .filter(hold::Column::Key.eq(held.key))
            .exec(tx.connection())
            .await?;
        // An instance begun under the new login meanwhile stays the one that a start leads to.
        hold(tx, OWNER, login, held.instance).await?;
    }
    Ok(())
}

/// The instance that holds `key`.
pub async fn holder(access: &impl Access, what: &str, key: &str) -> Result<Option<Uuid>, StoreError> {
    let found = hold::Entity::find_of(access)
        .filter(hold::Column::What.eq(what))
        .filter(hold::Column::Key.eq(key))
        .fetch_one(access)
        .await?;
    Ok(found.map(|row| row.instance))
}

/// Defers to COMMIT the release of what an instance holds.
pub fn defer_release_of_holds(tx: &Tx, instance: Uuid) {
    let released = hold::Entity::delete_of(tx).filter(hold::Column::Instance.eq(instance));
    tx.pending.execute(Statement::Delete(released.into_query()));
}
