//! A key that was made on a card.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "card_key")]
pub struct Model {
    pub tenant: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub card: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub slot: String,
    pub algorithm: String,
    pub certificate: Option<Uuid>,
    pub changed_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
