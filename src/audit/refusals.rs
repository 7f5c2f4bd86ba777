//! Refusals that anybody can cause who reaches an address: they must not fill the database.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// In milliseconds.
const WINDOW: i64 = 10 * 60 * 1000;
const ROWS: usize = 100;

/// Which refusals are rows of the audit: of each kind a hundred in ten minutes on each node, so that no kind hides another one. All of them are
/// counted (`sealwright_refusals_total`).
#[derive(Debug, Default)]
pub struct Refusals {
    rows: Mutex<BTreeMap<&'static str, Vec<i64>>>,
}

impl Refusals {
    /// Whether this one is a row. `now` is in milliseconds, `why` a word of ours.
    pub fn is_row(&self, now: i64, why: &'static str) -> bool {
        metrics::counter!("sealwright_refusals_total", "why" => why).increment(1);
        self.rows.lock().is_ok_and(|mut kinds| {
            let rows = kinds.entry(why).or_default();
            rows.retain(|at| *at > now - WINDOW);
            let is_row = rows.len() < ROWS;
            if is_row {
                rows.push(now);
            }
            is_row
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_rows_and_ten_minutes_later_as_many_again() {
        let refusals = Refusals::default();
        let rows = |at| (0..1000).filter(|_| refusals.is_row(at, "token")).count();
        assert_eq!(rows(0), ROWS);
        assert!(refusals.is_row(0, "secret"));
        assert_eq!(rows(WINDOW - 1), 0);
        assert_eq!(rows(WINDOW), ROWS);
    }
}
