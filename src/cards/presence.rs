//! Presence of a paired agent: written when its connection begins and ends, and refreshed as a lease meanwhile, so that
//! every node knows it.

use sealwright_protocol::Reader;
use uuid::Uuid;

use crate::store::pairings::{self, PairingEnd, PairingRecord, PairingState};
use crate::store::{Store, StoreError};

/// Refresh interval of the lease, in milliseconds.
pub const REFRESH: i64 = 30_000;
/// Age in milliseconds at which a lease has expired: the node of the connection was killed.
const LEASE: i64 = 75_000;

/// Whether an agent is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A release that knows no presence has written the pairing.
    Unknown,
    Connected,
    /// Disconnected since this moment, in milliseconds since 1970.
    Gone(i64),
}

impl Presence {
    /// # Arguments
    /// `now` in milliseconds since 1970.
    pub fn of(row: &PairingRecord, now: i64) -> Self {
        match (row.gone_at, row.seen_at) {
            (Some(gone), _) => Self::Gone(gone),
            (None, Some(seen)) if now - seen > LEASE => Self::Gone(seen),
            (None, Some(_)) => Self::Connected,
            (None, None) => Self::Unknown,
        }
    }
}

/// The connection of an agent that holds a pairing.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub pairing: Uuid,
    pub epoch: i64,
    pub root: Uuid,
}

impl From<&PairingRecord> for Held {
    fn from(row: &PairingRecord) -> Self {
        Self { pairing: row.id, epoch: row.epoch, root: row.root }
    }
}

/// Refreshes the lease of a connection, with the readers if they have changed.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn refresh(store: &Store, now: i64, held: Held, readers: Option<&[Reader]>) -> Result<(), StoreError> {
    let readers = readers.and_then(|readers| serde_json::to_value(readers).ok());
    let seen = store.write::<_, StoreError, _, _>(move |tx| {
        let readers = readers.clone();
        async move { pairings::refresh(&tx, held.pairing, held.epoch, now, readers).await }
    });
    seen.await
}

/// Writes the end of a connection. A pairing that the agent has not confirmed ends with it; returns whether the pairing
/// has changed.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn leave(store: &Store, now: i64, held: Held, end: PairingEnd) -> Result<bool, StoreError> {
    let left = store.write::<_, StoreError, _, _>(move |tx| async move {
        let row = pairings::lock(&tx, held.pairing).await?;
        let Some(mut row) = row.filter(|row| row.epoch == held.epoch && row.state != PairingState::Ended) else {
            return Ok(false);
        };
        row.gone_at = Some(now);
        if row.state == PairingState::Redeemed && !row.confirmed_by_agent {
            row.state = PairingState::Ended;
            row.ended_by = Some(end);
        }
        pairings::update(&tx, &row).await?;
        Ok(true)
    });
    left.await
}
