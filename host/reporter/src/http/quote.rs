//! Words from the network, made fit for a message.

use pipefold_sandbox::foreign::{self, EXCERPT, is_hidden};

/// `text` as an [excerpt](foreign::excerpt), with spaces for line ends and `(token)` in the place of each of `secrets`.
#[must_use]
pub fn quote<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let line: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    // A secret may be there in pieces, with hidden characters between them. Cutting comes last, or it could leave a half of one.
    let visible: String = line.chars().filter(|c| !is_hidden(*c)).collect();
    let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
    let safe = secrets.fold(visible.clone(), |text, secret| text.replace(secret, "(token)"));
    foreign::cut(if safe == visible { line.trim() } else { safe.trim() }, EXCERPT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_join_and_hidden_characters_show() {
        assert_eq!(
            quote(" a\r\nb\x1b[31mc\u{202e}d\0\u{2028}e ", []),
            r"a  b\u{1b}[31mc\u{202e}d\u{0} e"
        );
        assert_eq!(quote("\n::error::##[x", []), ": :error::# #[x");
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(quote(&"é".repeat(EXCERPT), []).chars().count(), EXCERPT);
        let cut = quote(&"é".repeat(EXCERPT + 1), []);
        assert!(cut.chars().count() == EXCERPT && cut.ends_with("é…"));
    }

    #[test]
    fn the_token_goes_however_it_is_hidden() {
        let token = ["sesame-open"];
        assert_eq!(quote("key sesame-open!", token), "key (token)!");
        assert_eq!(quote("key ses\0ame-\u{200b}open!", token), "key (token)!");
        let at_the_cut = format!("{}sesame-open", "x".repeat(EXCERPT - 5));
        assert!(!quote(&at_the_cut, token).contains("ses"));
        assert_eq!(quote("ab", ["", "b"]), "a(token)", "an empty one is nowhere");
    }
}
