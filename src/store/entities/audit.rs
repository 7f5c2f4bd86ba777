//! Who did what; `sequence` is given when it is sealed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit")]
pub struct Model {
    pub tenant: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub at: i64,
    pub event: String,
    pub actor: Option<String>,
    pub role: Option<String>,
    pub instance: Option<Uuid>,
    pub peer: Option<String>,
    pub request: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub detail: Json,
    pub sequence: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
