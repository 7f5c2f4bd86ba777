//! The database room, the only one that knows sea-orm. Two floors: `database` has connections, transactions, tables and the cache;
//! beside it each subject has a module with its queries.
//!
//! A function writes at once, unless its name begins with `defer_`: then the write is buffered and executed just before COMMIT
//! (`database/pending_writes`).
//!
//! To add a table: a migration, `database/tables/<table>.rs`, `<tables>.rs` with its queries. Every query begins with one of
//! `OfTenant`, which names the tenant (`database/tenant.rs`); what leaves the room is a record without it.

pub mod audits;
pub mod backup;
pub mod cards;
pub mod certificates;
pub mod database;
pub mod definitions;
#[cfg(test)]
pub(crate) mod facts;
pub mod idempotency;
pub mod inbox;
pub mod instances;
pub mod jobs;
pub mod logins;
pub mod pairings;
pub mod revocation_lists;
pub mod service_accounts;
pub mod sessions;
pub mod tasks;
pub mod timers;
pub mod watches;
pub mod work;

use database::is_storable;
pub use database::time::now as database_time;
pub use database::{Access, Listener, ReadCache, Reader, RuntimeHandle, Store, StoreError, Tx, WriteError};
