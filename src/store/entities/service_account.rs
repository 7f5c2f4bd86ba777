//! A program that may call the API; `token_digest` is the digest of its token.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "service_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub role: String,
    pub token_digest: String,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
}

/// What the login of every program begins with; no person's login has a colon.
pub const PREFIX: &str = "service:";

impl Model {
    /// As the engine, the history and the audit name it.
    pub fn login(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
