//! Something that a card is to do, for the agent.

use sea_orm::entity::prelude::*;

use crate::store::database::{stored_as_word, table};

table! {
    /// Something that a card is to do, for the agent.
    pub struct JobRecord in "job" {
        tenant,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub root: Uuid,
        pub instance: Uuid,
        pub step: i64,
        pub name: String,
        pub card: Option<Uuid>,
        #[sea_orm(column_type = "JsonBinary")]
        pub parameters: Json,
        #[sea_orm(column_type = "JsonBinary")]
        pub plan: Json,
        pub state: JobState,
        pub created_at: i64,
        pub ended_at: Option<i64>,
    }
}

/// State of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    Queued,
    Done,
    Withdrawn,
}

stored_as_word!(JobState of "job" {
    Queued = "queued",
    Done = "done",
    Withdrawn = "withdrawn",
});
