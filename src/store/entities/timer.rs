//! A moment at which an instance is told.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "timer")]
pub struct Model {
    pub tenant: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub timer: String,
    pub step: i64,
    pub due_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
