//! Refusals that somebody can cause as often as they like: they must not fill the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::event::{Event, Origin};
use super::record::record_alone;
use crate::store::{Store, StoreError};

/// In milliseconds.
const WINDOW: i64 = 10 * 60 * 1000;
const ROWS: u64 = 100;

/// Which refusals are rows of the audit: of each kind and person a hundred in ten minutes on each node, so that no kind or person hides another
/// one; people who have not signed in are one. The others of the ten minutes are summed up in one row (`refusals-summed-up`). All of them are
/// counted (`sealwright_refusals_total`). Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    windows: Arc<Mutex<HashMap<Key, Window>>>,
}

/// Why, and whom.
type Key = (&'static str, Option<String>);

#[derive(Clone, Copy, Debug)]
struct Window {
    began: i64,
    count: u64,
}

/// Refusals that are no rows of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummedUp {
    pub why: &'static str,
    pub login: Option<String>,
    pub count: u64,
}

impl Refusals {
    /// Records one, if it is a row. `now` is in milliseconds, `why` a word of ours.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record(
        &self,
        store: &Store,
        origin: Origin,
        instance: Option<uuid::Uuid>,
        now: i64,
        why: &'static str,
        event: Event,
    ) -> Result<(), StoreError> {
        match self.is_row(now, why, origin.login.as_deref()) {
            true => record_alone(store, origin, instance, now, event).await,
            false => Ok(()),
        }
    }

    /// Whether one is a row.
    fn is_row(&self, now: i64, why: &'static str, login: Option<&str>) -> bool {
        metrics::counter!("sealwright_refusals_total", "why" => why).increment(1);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((why, login.map(str::to_owned))).or_insert(Window { began: now, count: 0 });
        window.count += 1;
        window.count <= ROWS
    }

    /// Ends the ten minutes that are over, and sums up what was no row in them.
    ///
    /// # Errors
    /// [`StoreError`]: then this sum is lost.
    pub async fn sum_up(&self, store: &Store, now: i64) -> Result<(), StoreError> {
        for SummedUp { why, login, count } in self.take_sums(now) {
            let origin = Origin { login, ..Origin::system("refusals") };
            record_alone(store, origin, None, now, Event::RefusalsSummedUp { why, count }).await?;
        }
        Ok(())
    }

    fn take_sums(&self, now: i64) -> Vec<SummedUp> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back ends them too.
        let over = windows.extract_if(|_, window| !(window.began..window.began + WINDOW).contains(&now));
        over.filter(|(_, window)| window.count > ROWS)
            .map(|((why, login), window)| SummedUp { why, login, count: window.count - ROWS })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_rows_and_ten_minutes_later_as_many_again() {
        let refusals = Refusals::default();
        let rows = |at, login| (0..1000).filter(|_| refusals.is_row(at, "token", login)).count();
        assert_eq!(rows(0, None), 100);
        assert!(refusals.is_row(0, "secret", None));
        assert_eq!(rows(0, Some("alice")), 100);
        assert_eq!(refusals.take_sums(WINDOW - 1), []);
        assert_eq!(rows(WINDOW - 1, None), 0);
        let mut sums = refusals.take_sums(WINDOW);
        sums.sort_by_key(|sum| sum.login.clone());
        let sum = |login: Option<&str>, count| SummedUp { why: "token", login: login.map(str::to_owned), count };
        assert_eq!(sums, [sum(None, 1_900), sum(Some("alice"), 900)]);
        assert_eq!(rows(WINDOW, None), 100);
        assert_eq!(refusals.take_sums(WINDOW), []);
    }
}
