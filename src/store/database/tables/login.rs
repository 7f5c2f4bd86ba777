//! The person who had a login when it was last looked up.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// The person who had a login when it was last looked up.
    pub struct LoginRecord in "login" {
        #[sea_orm(primary_key, auto_increment = false)]
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub login: String,
        /// The id of the person.
        pub person: String,
    }
}
