//! The database's own clock, which all nodes share: leases are measured by it, and the nodes' clocks are compared with it.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::{Access, StoreError};

/// The SQL expression for it, in milliseconds since 1970.
pub fn expression(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        _ => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    }
}

/// Its time, in milliseconds since 1970.
///
/// # Errors
/// [`StoreError`].
pub async fn now(access: &impl Access) -> Result<i64, StoreError> {
    let backend = access.connection().get_database_backend();
    let sql = format!("SELECT {} AS now", expression(backend));
    let row = access.connection().query_one_raw(Statement::from_string(backend, sql)).await?;
    let row = row.ok_or(StoreError::Inconsistent { table: "clock", why: "no row".to_owned() })?;
    Ok(row.try_get("", "now")?)
}
