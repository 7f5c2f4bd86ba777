//! Comparison of values that say who somebody is: as the directory compares them, and what looks alike is one.

use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

/// The one form of all values that a directory takes for equal, or that a person would: caseIgnoreMatch (RFC 4517 section 4.2.11, prepared by RFC
/// 4518) with NFKC and without case and insignificant spaces, integerMatch (section 4.2.19) without leading zeros, and then letters and digits
/// alone, each as the prototype of those that look like it (UTS #39 section 4). None when nothing is left.
pub fn canonical(value: &str) -> Option<String> {
    let folded: String = value.nfkc().flat_map(char::to_lowercase).filter(|letter| letter.is_alphanumeric()).collect();
    let number = folded.trim_start_matches('0');
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let folded = if is_number { number } else { &folded };
    let alike: String = skeleton(folded).flat_map(char::to_lowercase).collect();
    (!alike.is_empty()).then_some(alike)
}

/// Whether two sets have a value in common; none when one of them is empty, or has a value that cannot be compared.
pub fn is_any_common(own: &[&str], others: &[&str]) -> Option<bool> {
    let canonical_of = |values: &[&str]| values.iter().map(|value| canonical(value)).collect::<Option<Vec<String>>>();
    let (own, others) = (canonical_of(own)?, canonical_of(others)?);
    if own.is_empty() || others.is_empty() {
        return None;
    }
    Some(own.iter().any(|value| others.contains(value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_value_are_one() {
        let spellings = [
            "E-77",
            "e-77",
            "E-77 ",
            " E-77",
            "E 77",
            "E\u{a0}-77",
            "E-\u{ad}77",
            "\u{ff25}-77",
            "E\u{2010}77",
            "\u{415}-77",
            "E-7\u{200b}7",
        ];
        for spelling in spellings {
            assert_eq!(canonical(spelling), canonical("E-77"), "{spelling:?}");
        }
        assert_eq!(canonical("0077"), canonical("77"));
        assert_eq!(canonical("\u{662}1"), canonical("\u{662}1"));
        for other in ["E-78", "E-7", "F-77", "E-770", "77"] {
            assert_ne!(canonical(other), canonical("E-77"), "{other:?}");
        }
        assert_eq!([canonical(""), canonical(" - "), canonical("\u{202e}")], [None, None, None]);
    }

    #[test]
    fn several_values_are_a_set() {
        assert_eq!(is_any_common(&["17", "E-77"], &["e-77"]), Some(true));
        assert_eq!(is_any_common(&["17"], &["21", "22"]), Some(false));
        for unknown in [&[][..], &["-"], &["21", "?"]] {
            assert_eq!(is_any_common(&["17"], unknown), None, "{unknown:?}");
            assert_eq!(is_any_common(unknown, &["17"]), None, "{unknown:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_told_apart(one: u32, other: u32) {
            prop_assert_eq!(canonical(&one.to_string()) == canonical(&other.to_string()), one == other);
        }

        #[test]
        fn case_and_spaces_around_never_tell_apart(value in any::<String>()) {
            prop_assert_eq!(canonical(&format!(" {value} ")), canonical(&value));
            prop_assert_eq!(canonical(&value.to_ascii_uppercase()), canonical(&value.to_ascii_lowercase()));
        }
    }
}
