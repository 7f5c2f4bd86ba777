//! A browser session; `id` is the digest of the cookie.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    pub tenant: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub login: String,
    pub role: Option<String>,
    pub csrf: String,
    pub created_at: i64,
    pub seen_at: i64,
    pub role_checked_at: Option<i64>,
    pub role_unanswered_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
