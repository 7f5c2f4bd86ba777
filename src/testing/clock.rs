//! A clock that stands still until the test moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

use crate::clock::{Clock, milliseconds, moment};

/// Monday, 4 January 2027, 09:00 UTC: within the validity of the authority in `tests/fixtures/authority`.
const START: OffsetDateTime = time::macros::datetime!(2027-01-04 09:00 UTC);

pub struct TestClock {
    now: AtomicI64,
}

impl TestClock {
    pub fn new() -> Self {
        Self { now: AtomicI64::new(milliseconds(START)) }
    }

    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.whole_milliseconds()).expect("a short time");
        self.now.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        moment(self.now.load(Ordering::SeqCst))
    }
}
