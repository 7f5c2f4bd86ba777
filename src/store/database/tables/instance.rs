//! One run of a workflow; `document` is the instance itself, the other columns are for queries.

use sea_orm::entity::prelude::*;

use crate::store::database::table;

table! {
    /// One run of a workflow; `document` is the instance itself, the other columns are for queries.
    pub struct InstanceRecord in "instance" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub workflow: String,
        pub version: i64,
        pub root: Uuid,
        pub parent: Option<Uuid>,
        pub owner: String,
        pub requester: String,
        pub role: String,
        pub state: String,
        pub step: i64,
        pub status: String,
        pub revision: i64,
        pub claimed_by: Option<String>,
        #[sea_orm(column_type = "JsonBinary")]
        pub document: Json,
        pub started_at: i64,
        pub changed_at: i64,
        pub ended_at: Option<i64>,
    }
}
