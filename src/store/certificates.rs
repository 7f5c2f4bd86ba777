//! Certificates from the intent on.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::database::tables::certificate;
use super::database::{self, Fetch, OfTenant};
use super::{Access, StoreError, Tx};

pub use super::database::tables::certificate::{CertificateRecord, Status};

impl CertificateRecord {
    pub fn is(&self, status: Status) -> bool {
        self.status == status
    }

    /// Whether it is valid now, or would be if its suspension ended. One that has not begun, because a clock was ahead when it was signed, is of
    /// no use to its card.
    pub fn is_in_use(&self, now: i64) -> bool {
        self.is_outstanding(now) && self.not_before <= now
    }

    /// Whether it is valid at some time from now on unless it is revoked.
    pub fn is_outstanding(&self, now: i64) -> bool {
        (self.is(Status::Issued) || self.is(Status::Suspended)) && self.not_after > now
    }
}

/// The condition that a certificate is outstanding.
fn outstanding(now: i64) -> Condition {
    Condition::all()
        .add(certificate::Column::Status.is_in([Status::Issued, Status::Suspended]))
        .add(certificate::Column::NotAfter.gt(now))
}

pub async fn insert(tx: &Tx, record: CertificateRecord) -> Result<(), StoreError> {
    database::insert(tx, record, "certificate").await
}

pub async fn find(access: &impl Access, id: Uuid) -> Result<Option<CertificateRecord>, StoreError> {
    certificate::Entity::find_of(access).filter(certificate::Column::Id.eq(id)).fetch_one(access).await
}

/// Some certificates, in no order; what there is not is left out.
pub async fn find_all(access: &impl Access, ids: BTreeSet<Uuid>) -> Result<Vec<CertificateRecord>, StoreError> {
    certificate::Entity::find_of(access).filter(certificate::Column::Id.is_in(ids)).fetch_all(access).await
}

pub async fn find_by_serial(
    access: &impl Access,
    authority: &str,
    serial: &str,
) -> Result<Option<CertificateRecord>, StoreError> {
    certificate::Entity::find_of(access)
        .filter(certificate::Column::Authority.eq(authority))
        .filter(certificate::Column::Serial.eq(serial))
        .fetch_one(access)
        .await
}

/// Whether a step has stored its intent.
pub async fn is_intended(access: &impl Access, instance: Uuid, step: i64) -> Result<bool, StoreError> {
    let row = certificate::Entity::find_of(access)
        .filter(certificate::Column::Instance.eq(instance))
        .filter(certificate::Column::Step.eq(step))
        .fetch_one(access)
        .await?;
    Ok(row.is_some())
}

pub async fn of_owner(access: &impl Access, login: &str) -> Result<Vec<CertificateRecord>, StoreError> {
    certificate::Entity::find_of(access)
        .filter(certificate::Column::OwnerLogin.eq(login))
        .filter(certificate::Column::Status.ne(Status::Intended))
        .order_by_desc(certificate::Column::CreatedAt)
        .fetch_all(access)
        .await
}

/// The outstanding certificates of a person.
pub async fn of_person(access: &impl Access, person: &str, now: i64) -> Result<Vec<CertificateRecord>, StoreError> {
    certificate::Entity::find_of(access)
        .filter(certificate::Column::Person.eq(person))
        .filter(outstanding(now))
        .order_by_asc(certificate::Column::CreatedAt)
        .fetch_all(access)
        .await
}

/// An outstanding certificate, as it is compared with the directory.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Held {
    pub person: String,
    pub owner_login: String,
    pub names_digest: String,
    pub status: Status,
}

/// All outstanding certificates of people, after the first `skip` of them.
pub async fn held(access: &impl Access, now: i64, skip: u64, limit: u64) -> Result<Vec<Held>, StoreError> {
    let rows = certificate::Entity::find_of(access)
        .select_only()
        .columns([
            certificate::Column::Person,
            certificate::Column::OwnerLogin,
            certificate::Column::NamesDigest,
            certificate::Column::Status,
        ])
        .filter(outstanding(now))
        .order_by_asc(certificate::Column::Id)
        .offset(skip)
        .limit(limit)
        .into_model::<Held>()
        .all(access.connection())
        .await?;
    Ok(rows)
}

/// Gives a person's certificates to their present login, and takes from that login what a former holder of it has. Gives how many changed hands.
pub async fn follow_login(tx: &Tx, person: &str, login: &str) -> Result<u64, StoreError> {
    let renamed = certificate::Column::Person.eq(person).and(certificate::Column::OwnerLogin.ne(login));
    let reused = certificate::Column::Person.ne(person).and(certificate::Column::OwnerLogin.eq(login));
    let mut changed = 0;
    for (which, login) in [(renamed, login), (reused, "")] {
        let updated = certificate::Entity::update_of(tx)
            .col_expr(certificate::Column::OwnerLogin, Expr::value(login))
            .filter(which)
            .exec(tx.connection())
            .await?;
        changed += updated.rows_affected;
    }
    Ok(changed)
}

/// The newest certificates, at most `limit`: of one owner alone when that is said, and of one login, or with one serial number, when `wanted` says
/// one of the two.
pub async fn search(
    access: &impl Access,
    owner: Option<&str>,
    wanted: Option<&str>,
    limit: u64,
) -> Result<Vec<CertificateRecord>, StoreError> {
    let mut query = certificate::Entity::find_of(access).filter(certificate::Column::Status.ne(Status::Intended));
    if let Some(owner) = owner {
        query = query.filter(certificate::Column::OwnerLogin.eq(owner));
    }
    if let Some(wanted) = wanted {
        if !super::is_storable(wanted) {
            return Ok(Vec::new());
        }
        let serial = wanted.to_ascii_lowercase().replace([':', ' '], "");
        let serial = serial.trim_start_matches('0');
        query = query.filter(
            Condition::any()
                .add(certificate::Column::OwnerLogin.eq(wanted))
                .add(certificate::Column::Serial.eq(serial)),
        );
    }
    query.order_by_desc(certificate::Column::Id).limit(limit).fetch_all(access).await
}

/// Everything that was certified or is about to be, for one public key.
pub async fn of_key(access: &impl Access, digest: &str) -> Result<Vec<CertificateRecord>, StoreError> {
    certificate::Entity::find_of(access).filter(certificate::Column::PublicKeyDigest.eq(digest)).fetch_all(access).await
}

pub async fn of_card(access: &impl Access, card: Uuid) -> Result<Vec<CertificateRecord>, StoreError> {
    certificate::Entity::find_of(access)
        .filter(certificate::Column::Card.eq(card))
        .order_by_asc(certificate::Column::CreatedAt)
        .fetch_all(access)
        .await
}

/// Records the one signature that counts, and gives what is issued now; none when another one was recorded before.
pub async fn issue(
    tx: &Tx,
    id: Uuid,
    der: Vec<u8>,
    fingerprint: &str,
) -> Result<Option<CertificateRecord>, StoreError> {
    let issuing = certificate::Entity::update_of(tx)
        .col_expr(certificate::Column::Certificate, Expr::value(der))
        .col_expr(certificate::Column::Fingerprint, Expr::value(fingerprint))
        .col_expr(certificate::Column::Status, Expr::value(Status::Issued))
        .filter(certificate::Column::Id.eq(id))
        .filter(certificate::Column::Status.eq(Status::Intended));
    Ok(database::update_returning(tx, issuing).await?.into_iter().next())
}

/// Revokes what was not revoked yet: the first date stays, also that of a suspension (X.509, certificateHold), or what was signed during it would
/// become good.
pub async fn revoke(tx: &Tx, id: Uuid, reason: &str, at: i64) -> Result<bool, StoreError> {
    let updated = certificate::Entity::update_of(tx)
        .col_expr(certificate::Column::Status, Expr::value(Status::Revoked))
        .col_expr(certificate::Column::Reason, Expr::value(reason))
        .col_expr(certificate::Column::RevokedAt, Expr::col(certificate::Column::RevokedAt).if_null(at))
        .filter(certificate::Column::Id.eq(id))
        .filter(certificate::Column::Status.ne(Status::Revoked))
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected == 1)
}

/// Suspends what is issued; `false` when it is not.
pub async fn suspend(tx: &Tx, id: Uuid, at: i64) -> Result<bool, StoreError> {
    move_on(tx, id, Status::Issued, Status::Suspended, Some(("certificate-hold", at))).await
}

/// Ends a suspension; `false` when there is none.
pub async fn reinstate(tx: &Tx, id: Uuid) -> Result<bool, StoreError> {
    move_on(tx, id, Status::Suspended, Status::Issued, None).await
}

async fn move_on(tx: &Tx, id: Uuid, from: Status, to: Status, why: Option<(&str, i64)>) -> Result<bool, StoreError> {
    let updated = certificate::Entity::update_of(tx)
        .col_expr(certificate::Column::Status, Expr::value(to))
        .col_expr(certificate::Column::Reason, Expr::value(why.map(|(reason, _)| reason)))
        .col_expr(certificate::Column::RevokedAt, Expr::value(why.map(|(_, at)| at)))
        .filter(certificate::Column::Id.eq(id))
        .filter(certificate::Column::Status.eq(from))
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected == 1)
}
