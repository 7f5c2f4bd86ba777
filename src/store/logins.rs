//! Logins and the people who have them: people are renamed, and logins are given to somebody else.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, QueryFilter};

use super::database::tables::login::{self, LoginRecord};
use super::database::{Fetch, OfTenant, insertion};
use super::{Access, StoreError, Tx, cards, certificates, idempotency, instances};

/// How much changed hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Cards and certificates.
    pub credentials: u64,
    pub instances: u64,
}

/// The person who has a login, as far as is known.
pub async fn person_of(access: &impl Access, name: &str) -> Result<Option<String>, StoreError> {
    let known = login::Entity::find_of(access).filter(login::Column::Login.eq(name)).fetch_one(access).await?;
    Ok(known.map(|row| row.person))
}

/// Notes who has a login now. Cards, certificates and instances follow a person to a new login, and stay behind when a login becomes somebody else's.
pub async fn settle(tx: &Tx, name: &str, person: &str) -> Result<Followed, StoreError> {
    match person_of(tx, name).await? {
        Some(known) if known == person => Ok(Followed::default()),
        _ => follow(tx, name, person).await,
    }
}

/// The same, also when the login is known as theirs: what was begun under another one may have come since.
pub async fn follow(tx: &Tx, name: &str, person: &str) -> Result<Followed, StoreError> {
    // People who change logins with each other come one after another.
    tx.lock("logins").await?;
    let mut instances = 0;
    if let Some(former) = person_of(tx, name).await?.filter(|former| former != person) {
        // A name that no one can sign in by: the former holder's instances wait there until they come under their new login.
        let kept = format!("{name} ({former})");
        instances += instances::follow_login(tx, name, &kept).await?;
        idempotency::forget(tx, name).await?;
        note(tx, &kept, &former).await?;
    }
    // The person's earlier logins belong to nobody now.
    let earlier = login::Entity::find_of(tx)
        .filter(login::Column::Person.eq(person))
        .filter(login::Column::Login.ne(name))
        .fetch_all(tx)
        .await?;
    for row in earlier {
        instances += instances::follow_login(tx, &row.login, name).await?;
        login::Entity::delete_of(tx).filter(login::Column::Login.eq(row.login)).exec(tx.connection()).await?;
    }
    note(tx, name, person).await?;
    let certificates = certificates::follow_login(tx, person, name).await?;
    Ok(Followed { credentials: certificates + cards::follow_login(tx, person, name).await?, instances })
}

async fn note(tx: &Tx, name: &str, person: &str) -> Result<(), StoreError> {
    let row = LoginRecord { login: name.to_owned(), person: person.to_owned() };
    insertion(tx, row)
        .on_conflict(
            OnConflict::columns([login::Column::Tenant, login::Column::Login])
                .update_column(login::Column::Person)
                .to_owned(),
        )
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}
