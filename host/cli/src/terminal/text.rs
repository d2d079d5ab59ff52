//! Foreign text on its way to a terminal or a CI log, which both obey what they are shown.

use std::io::Write;

/// The longest excerpt, in characters: some lines of a terminal. An error page of a proxy is longer.
const LONGEST: usize = 300;

/// Foreign text, harmless to show within a line: control characters and those that turn the direction of writing are escaped as in Rust
/// (`\u{1b}`, `\n`), and `##` is parted, which Azure Pipelines (`##vso[`), GitHub Actions (`##[`) and TeamCity (`##teamcity[`) take as
/// the start of a command wherever it stands in a line.
pub(crate) fn neutral(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '#' && shown.ends_with('#') {
            shown.push(' ');
        }
        if is_unsafe(character) {
            shown.extend(character.escape_default())
        } else {
            shown.push(character)
        }
    }
    shown
}

/// The same, cut after 300 characters: for text whose length another machine decides.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => neutral(&text[..end]) + "…",
        None => neutral(text),
    }
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the marks of Unicode's bidirectional algorithm (UAX 9, table 4).
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes one line to stderr, in one piece so that lines of several processes do not mix. A closed stderr is nobody's trouble.
pub(crate) fn say(line: &str) {
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_or_a_log_obeys_is_left() {
        assert_eq!(
            neutral("main\x1b[2J\r\n::error::x\u{9b}2J"),
            r"main\u{1b}[2J\r\n::error::x\u{9b}2J"
        );
        assert_eq!(neutral("a\u{202e}b\u{2066}c\u{2028}"), r"a\u{202e}b\u{2066}c\u{2028}");
        assert_eq!(neutral("##vso[task.setvariable]###"), "# #vso[task.setvariable]# # #");
        assert_eq!(neutral("grüße 漢字 #1 'q' \"q\" \\n"), "grüße 漢字 #1 'q' \"q\" \\n");
    }

    #[test]
    fn long_text_is_cut_where_it_is_asked_for() {
        assert_eq!(neutral(&"é".repeat(301)), "é".repeat(301));
        assert_eq!(excerpt(&"é".repeat(300)), "é".repeat(300));
        assert_eq!(excerpt(&"é".repeat(301)), format!("{}…", "é".repeat(300)));
    }
}
