//! Foreign text made safe to show: text of a policy, a server, a feed, a variable, a flag or a file name.
//!
//! Terminals obey control characters, CI systems obey commands in their logs, and invisible characters mislead readers. [`neutral`],
//! [`excerpt`] and [`cut`] turn a text into one line without any of these. [`json`] does the same for JSON without changing its value.

mod json;

pub use json::{is_hidden, json};

use std::fmt::Display;

/// The longest excerpt in characters: a few lines of a terminal. A proxy's error page is longer.
pub const EXCERPT: usize = 300;

/// The most items of a list that are shown: more than a person corrects at once.
const MOST_LISTED: usize = 8;

/// Commands of CI systems at the beginning of a line: GitHub Actions `::error::`, also after blanks; Buildkite the other four.
const BEGINNINGS: [&str; 5] = ["::", "---", "+++", "~~~", "^^^"];

/// Makes a text one line that is harmless in a terminal and in a CI log.
///
/// - Characters that cannot be seen, or that rearrange others, are escaped as in Rust: `\n`, `\u{1b}`, `\u{202e}`.
/// - `##` becomes `# #`: Azure Pipelines (`##vso[`), GitHub Actions (`##[`), TeamCity (`##teamcity[`) and Octopus Deploy (`##octopus[`) look
///   for it anywhere in a line.
/// - A command at the beginning is split in the same way: `: :error::`.
///
/// The result of a second call is the same as of the first.
#[must_use]
pub fn neutral(text: &str) -> String {
    cut(text, usize::MAX)
}

/// [`neutral`], and at most [`EXCERPT`] characters: for text whose length others decide.
#[must_use]
pub fn excerpt(text: &str) -> String {
    cut(text, EXCERPT)
}

/// [`neutral`], and at most `most` characters, the last of which is `…` if text is left out.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    let begins = text.trim_start();
    let parted = BEGINNINGS
        .iter()
        .any(|beginning| begins.starts_with(beginning))
        .then_some(text.len() - begins.len() + 1);
    let mut shown = String::with_capacity(text.len().min(most));
    let (mut length, mut room) = (0, 0);
    for (at, character) in text.char_indices() {
        let before = shown.len();
        if parted == Some(at) || (character == '#' && shown.ends_with('#')) {
            shown.push(' ');
        }
        show(&mut shown, character);
        length += shown[before..].chars().count();
        if length > most {
            shown.truncate(room);
            shown.push('…');
            return shown;
        }
        if length < most {
            room = shown.len();
        }
    }
    shown
}

/// Escapes hidden characters and changes nothing else: for a page, which is no CI log.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        show(&mut shown, character);
    }
    shown
}

/// The first few items, each an [`excerpt`], and the number of others.
#[must_use]
pub fn listed<T: Display>(items: &[T]) -> String {
    let mut shown: Vec<String> = items
        .iter()
        .take(MOST_LISTED)
        .map(|item| excerpt(&item.to_string()))
        .collect();
    match items.len() - shown.len() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown.join("; ")
}

fn show(shown: &mut String, character: char) {
    if is_hidden(character) {
        shown.extend(character.escape_default());
    } else {
        shown.push(character);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_that_a_terminal_or_a_reader_follows_is_left() {
        for (text, shown) in [
            ("main\x1b[2J\r\n\u{9b}2J", r"main\u{1b}[2J\r\n\u{9b}2J"),
            (
                "a\u{202e}b\u{2066}c\u{2028}\u{2029}",
                r"a\u{202e}b\u{2066}c\u{2028}\u{2029}",
            ),
            (
                "\u{200b}\u{200d}\u{feff}\u{ad}\u{2060}",
                r"\u{200b}\u{200d}\u{feff}\u{ad}\u{2060}",
            ),
            ("\u{e0041}\u{e007f}\u{3164}", r"\u{e0041}\u{e007f}\u{3164}"),
            (
                "grüße 漢字 ⚠\u{fe0f} #1 'q' \"q\" \\n",
                "grüße 漢字 ⚠\u{fe0f} #1 'q' \"q\" \\n",
            ),
        ] {
            assert_eq!(neutral(text), shown);
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn nothing_that_a_ci_system_obeys_is_left() {
        for (text, shown) in [
            ("##vso[task.setvariable]###", "# #vso[task.setvariable]# # #"),
            ("x ##[error]", "x # #[error]"),
            ("::error::x", ": :error::x"),
            (" \u{a0}\u{3000}::error::x", " \u{a0}\u{3000}: :error::x"),
            ("\t::error::x", r"\t: :error::x"),
            ("a ::error::x", "a ::error::x"),
            ("--- a", "- -- a"),
            ("^^^ +++", "^ ^^ +++"),
            ("section_start:1:a\r\x1b[0Kx", r"section_start:1:a\r\u{1b}[0Kx"),
        ] {
            assert_eq!(neutral(text), shown);
        }
    }

    #[test]
    fn long_text_is_cut_between_what_is_shown_for_a_character() {
        assert_eq!(excerpt(&"é".repeat(300)), "é".repeat(300));
        assert_eq!(excerpt(&"é".repeat(301)), format!("{}…", "é".repeat(299)));
        assert_eq!(cut("ab\u{1b}c", 8), "ab…");
        assert_eq!(cut("ab\u{1b}", 8), r"ab\u{1b}");
        assert_eq!(cut("abc", 0), "…");
    }

    #[test]
    fn lists_are_cut() {
        assert_eq!(listed(&["a", "b"]), "a; b");
        assert_eq!(listed(&["x"; 101]), "x; x; x; x; x; x; x; x; and 93 more");
        assert!(listed(&vec!["x".repeat(1024); 101]).chars().count() < 2_500);
    }

    #[test]
    fn json_stays_the_same_value() {
        assert_eq!(
            json("{\n  \"a\": \"##vso[\u{202e}\u{e0041}\u{7f}\u{85}é\\n\"\n}"),
            "{\n  \"a\": \"#\\u0023vso[\\u202e\\udb40\\udc41\\u007f\\u0085é\\n\"\n}"
        );
    }

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("#".to_owned()),
            Just("::".to_owned()),
            Just("---".to_owned()),
            Just(" ".to_owned()),
            Just("\u{202e}".to_owned()),
            Just("\\".to_owned()),
            "\\PC{0,3}",
            any::<String>(),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_text_is_made_harmless(text in hostile(), most in 1_usize..40) {
            let shown = cut(&text, most);
            prop_assert!(shown.chars().count() <= most);
            prop_assert!(!shown.chars().any(is_hidden) && !shown.contains("##"), "{:?}", shown);
            prop_assert!(!BEGINNINGS.iter().any(|it| shown.trim_start().starts_with(it)), "{:?}", shown);
            prop_assert_eq!(neutral(&neutral(&text)), neutral(&text));
        }

        #[test]
        fn any_json_keeps_its_value(text in hostile(), other in hostile()) {
            let value = serde_json::json!({ text: [other, 1] });
            for written in [value.to_string(), format!("{value:#}")] {
                let shown = json(&written);
                prop_assert!(!shown.contains("##"));
                prop_assert!(!shown.chars().any(|c| is_hidden(c) && c != '\n'), "{:?}", shown);
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&shown).unwrap(), &value);
            }
        }
    }
}
