//! What happened to an instance, one row a step.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "history")]
pub struct Model {
    pub tenant: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    pub at: i64,
    pub event: String,
    pub state: String,
    pub step: i64,
    pub actor: Option<String>,
    pub role: Option<String>,
    pub detail: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
