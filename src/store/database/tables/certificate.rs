//! A certificate, from the intent to sign it on.

use sea_orm::entity::prelude::*;

use crate::store::database::{stored_as_word, table};

table! {
    /// A certificate, from the intent to sign it on.
    pub struct CertificateRecord in "certificate" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub authority: String,
        pub serial: String,
        pub status: Status,
        pub profile: String,
        pub person: String,
        pub owner_login: String,
        pub card: Option<Uuid>,
        pub slot: Option<String>,
        pub subject: String,
        /// Digest of the person's attributes that the certificate names: another one means that they have changed.
        pub names_digest: String,
        pub not_before: i64,
        pub not_after: i64,
        pub public_key_digest: String,
        #[sea_orm(column_type = "Blob")]
        pub to_be_signed: Vec<u8>,
        #[sea_orm(column_type = "Blob", nullable)]
        pub certificate: Option<Vec<u8>>,
        pub fingerprint: Option<String>,
        pub instance: Uuid,
        pub step: i64,
        pub created_at: i64,
        pub revoked_at: Option<i64>,
        pub reason: Option<String>,
    }
}

/// Status of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its bytes are stored, its signature is not: nobody has it.
    Intended,
    Issued,
    /// On the list for now (`certificateHold`, RFC 5280 section 5.3.1).
    Suspended,
    Revoked,
}

stored_as_word!(Status of "certificate" {
    Intended = "intended",
    Issued = "issued",
    Suspended = "suspended",
    Revoked = "revoked",
});
