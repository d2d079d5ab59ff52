//! Words from the network, made fit for a message.

/// How much of a foreign text goes into a message, in characters: a few lines of a terminal.
pub const MAX_QUOTE: usize = 300;

/// `text` on one line, without control characters, with `(token)` in the place of each of `secrets`, and of at most [`MAX_QUOTE`] characters.
#[must_use]
pub fn quote<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    // In this order: removing characters could put a secret together, and cutting could leave a half of it.
    let visible: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_hidden(*c))
        .collect();
    let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
    let safe = secrets.fold(visible, |text, secret| text.replace(secret, "(token)"));
    let safe = safe.trim();
    match safe.char_indices().nth(MAX_QUOTE) {
        None => safe.to_owned(),
        Some(_) => safe.chars().take(MAX_QUOTE - 1).chain(['…']).collect(),
    }
}

/// Control characters, and those that change the direction of text: either could make a terminal show what was never said.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_go_and_lines_join() {
        assert_eq!(quote(" a\r\nb\x1b[31mc\u{202e}d\0\u{2028}e ", []), "a  b[31mcd e");
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(quote(&"é".repeat(MAX_QUOTE), []).chars().count(), MAX_QUOTE);
        let cut = quote(&"é".repeat(MAX_QUOTE + 1), []);
        assert!(cut.chars().count() == MAX_QUOTE && cut.ends_with("é…"));
    }

    #[test]
    fn the_token_goes_however_it_is_hidden() {
        let token = ["sesame-open"];
        assert_eq!(quote("key sesame-open!", token), "key (token)!");
        assert_eq!(quote("key ses\0ame-\u{200b}open!", token), "key (token)!");
        let at_the_cut = format!("{}sesame-open", "x".repeat(MAX_QUOTE - 5));
        assert!(!quote(&at_the_cut, token).contains("ses"));
        assert_eq!(quote("ab", ["", "b"]), "a(token)", "an empty one is nowhere");
    }
}
