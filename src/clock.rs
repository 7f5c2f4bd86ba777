//! Time, as an argument. Nothing else in the portal asks for the time of day.

use time::{Duration, OffsetDateTime};

/// How far a node's clock may be from the database's. What a node dates that is further off is valid at another time than people are told.
pub const MOST_APART: Duration = Duration::minutes(2);

/// Tells the time.
pub trait Clock: Send + Sync {
    fn now(&self) -> OffsetDateTime;

    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64 {
        milliseconds(self.now())
    }

    /// How far it is ahead of the database's clock, which has just told this time.
    fn ahead_of(&self, database: OffsetDateTime) -> Duration {
        self.now() - database
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// Milliseconds since 1970, as the database keeps them.
pub fn milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The moment of a number of milliseconds.
pub fn moment(milliseconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
