//! Spans of time as a workflow writes them: `30s`, `15m`, `4h`, `2d`.

use time::Duration;

/// Reads a span: a positive whole number and one of `s`, `m`, `h`, `d`; at most ten years.
pub fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: i64 = digits.parse().ok()?;
    let span = match unit {
        's' => Duration::seconds(count),
        'm' => Duration::minutes(count),
        'h' => Duration::hours(count),
        'd' => Duration::days(count),
        _ => return None,
    };
    (span > Duration::ZERO && span <= Duration::days(3660)).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_one_unit() {
        assert_eq!(parse("30m"), Some(Duration::minutes(30)));
        assert_eq!(parse("2d"), Some(Duration::days(2)));
        for wrong in ["", "m", "0m", "-1m", "1", "1w", "1 m", "999999999d", "1é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
