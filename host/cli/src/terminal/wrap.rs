//! Breaking text into lines of a width.

use pipefold_sandbox::foreign::neutral;

/// The text in lines of at most `width` characters, at least one, each safe to show by itself. Lines are broken at blanks where there are some, else anywhere: an address
/// or a path is shown whole, over two lines.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        let mut word = word;
        let mut word_length = word.chars().count();
        if !line.is_empty() && length + 1 + word_length <= width {
            line.push(' ');
            line.push_str(word);
            length += 1 + word_length;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while word_length > width {
            let end = word.char_indices().nth(width).map_or(word.len(), |(end, _)| end);
            lines.push(word[..end].to_owned());
            word = &word[end..];
            word_length -= width;
        }
        line.push_str(word);
        length = word_length;
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    // A word that was harmless where it stood may begin a line now.
    lines.iter().map(|line| neutral(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_and_long_words_anywhere() {
        for (text, lines) in [
            ("", &[""] as &[&str]),
            ("ab", &["ab"]),
            ("ab cd", &["ab cd"]),
            ("ab cd e", &["ab cd", "e"]),
            ("abcdefghijkl mn", &["abcde", "fghij", "kl mn"]),
            ("a abcdefg", &["a", "abcde", "fg"]),
            ("äöüßé ñ", &["äöüßé", "ñ"]),
            ("abcde fghij", &["abcde", "fghij"]),
        ] {
            assert_eq!(wrap(text, 5), lines, "{text}");
        }
        assert_eq!(wrap("ab", 0), ["a", "b"]);
        assert_eq!(wrap("a ::error::b", 10), ["a", ": :error::b"]);
    }
}
