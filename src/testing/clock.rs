//! A clock that stands still until the test moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

use crate::clock::{Clock, milliseconds, moment};

/// Monday, 4 January 2027, 09:00 UTC: within the validity of the authority in `tests/fixtures/authority`.
const START: OffsetDateTime = time::macros::datetime!(2027-01-04 09:00 UTC);

pub struct TestClock {
    now: AtomicI64,
    /// How far ahead of the database's clock it says that it is, in milliseconds: that one is the machine's.
    ahead: AtomicI64,
}

impl TestClock {
    pub fn new() -> Self {
        Self { now: AtomicI64::new(milliseconds(START)), ahead: AtomicI64::new(0) }
    }

    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.whole_milliseconds()).expect("a short time");
        self.now.fetch_add(by, Ordering::SeqCst);
    }

    /// Moves the clock alone, and not the database's with it.
    pub fn go_wrong(&self, by: Duration) {
        self.advance(by);
        let by = i64::try_from(by.whole_milliseconds()).expect("a short time");
        self.ahead.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        moment(self.now.load(Ordering::SeqCst))
    }

    fn ahead_of(&self, _: OffsetDateTime) -> Duration {
        Duration::milliseconds(self.ahead.load(Ordering::SeqCst))
    }
}
