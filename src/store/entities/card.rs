//! A card that the portal knows.

use sea_orm::entity::prelude::*;

use crate::store::cards::{CardState, ManagementKind};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "card")]
pub struct Model {
    pub tenant: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub serial: String,
    pub state: CardState,
    pub owner: Option<String>,
    pub owner_login: Option<String>,
    pub management: ManagementKind,
    pub reader: Option<String>,
    pub created_at: i64,
    pub changed_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
