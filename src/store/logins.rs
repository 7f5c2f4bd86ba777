//! Logins and the people who have them: people are renamed, and logins are given to somebody else.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter};

use super::entities::login;
use super::{Access, StoreError, Tx, cards, certificates};

/// Notes who has a login now. Cards and certificates follow a person to a new login, and stay behind when a login becomes somebody else's.
/// Gives how many changed hands.
pub async fn settle(tx: &Tx, name: &str, person: &str) -> Result<u64, StoreError> {
    let key = (tx.tenant().to_owned(), name.to_owned());
    let known = login::Entity::find_by_id(key).one(tx.connection()).await?;
    if known.is_some_and(|row| row.person == person) {
        return Ok(0);
    }
    follow(tx, name, person).await
}

/// The same, also when the login is known as theirs: what was begun under another one may have come since.
pub async fn follow(tx: &Tx, name: &str, person: &str) -> Result<u64, StoreError> {
    // What the person was called before is nobody's now.
    login::Entity::delete_many()
        .filter(login::Column::Tenant.eq(tx.tenant()))
        .filter(Condition::all().add(login::Column::Person.eq(person)).add(login::Column::Login.ne(name)))
        .exec(tx.connection())
        .await?;
    let row = login::Model { tenant: tx.tenant().to_owned(), login: name.to_owned(), person: person.to_owned() };
    login::Entity::insert(row.into_active_model())
        .on_conflict(
            OnConflict::columns([login::Column::Tenant, login::Column::Login])
                .update_column(login::Column::Person)
                .to_owned(),
        )
        .exec_without_returning(tx.connection())
        .await?;
    let certificates = certificates::follow_login(tx, person, name).await?;
    Ok(certificates + cards::follow_login(tx, person, name).await?)
}
