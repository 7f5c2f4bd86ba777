//! Texts of others as a person compares them. A character that is not seen, or that reorders what is seen, makes one name look like another one
//! (UTS #55): it is shown by its number. Escape sequences of a terminal begin with one too.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// A text in one line, with each such character as `⟨U+202E⟩`.
pub fn visible(text: &str) -> String {
    shown(text, |_| false)
}

/// The same for a text that may have several lines.
pub fn visible_lines(text: &str) -> String {
    shown(text, |letter| letter == '\n')
}

fn shown(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_kept(letter) || is_seen(letter) {
            shown.push(letter);
        } else {
            shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(letter)));
        }
    }
    shown
}

fn is_seen(letter: char) -> bool {
    let is_unseen = matches!(
        letter.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Unassigned
    );
    !is_unseen && !IGNORED.iter().any(|(first, last)| (*first..=*last).contains(&letter))
}

/// Letters and marks that have no shape (Default_Ignorable_Code_Point, without those of the categories above).
const IGNORED: [(char, char); 9] = [
    ('\u{34f}', '\u{34f}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{e0100}', '\u{e01ef}'),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_seen_is_shown_by_its_number() {
        for (text, expected) in [
            ("PC-17", "PC-17"),
            ("Zoë O’Neill 王", "Zoë O’Neill 王"),
            ("pc\u{202e}71-tset", "pc⟨U+202E⟩71-tset"),
            ("pay\u{200b}roll", "pay⟨U+200B⟩roll"),
            ("a\u{2066}b\u{2069}\u{feff}", "a⟨U+2066⟩b⟨U+2069⟩⟨U+FEFF⟩"),
            ("\u{1b}[2JDone", "⟨U+001B⟩[2JDone"),
            ("\u{9b}31m", "⟨U+009B⟩31m"),
            ("a\u{3164}b\u{e0041}", "a⟨U+3164⟩b⟨U+E0041⟩"),
            ("a\nb\r", "a⟨U+000A⟩b⟨U+000D⟩"),
        ] {
            assert_eq!(visible(text), expected);
        }
        assert_eq!(visible_lines("a\nb\r"), "a\nb⟨U+000D⟩");
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_left(text in any::<String>()) {
            let shown = visible(&text);
            prop_assert!(shown.chars().all(is_seen));
            prop_assert_eq!(visible(&shown), shown);
        }
    }
}
