//! Finds e-mail addresses in text.

/// The text with each address in it replaced. An address is what stands around an `@` without a space or a separator in between.
pub fn emails(text: String) -> String {
    if !text.contains('@') {
        return text;
    }
    let is_separator = |c: char| c.is_whitespace() || "/?&=#:;,<>()\"'".contains(c);
    let parts = text.split_inclusive(is_separator).map(|part| {
        let word = part.trim_end_matches(is_separator);
        match word.split_once('@') {
            Some((name, host)) if !name.is_empty() && !host.is_empty() => format!("[redacted]{}", &part[word.len()..]),
            _ => part.to_owned(),
        }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::emails;

    #[test]
    fn addresses_go_and_the_rest_stays() {
        let cases = [
            ("main", "main"),
            ("feature/@scope", "feature/@scope"),
            ("mona@example.com", "[redacted]"),
            ("users/mona@example.com/größer", "users/[redacted]/größer"),
            (
                "https://ci.example.com/?by=mona@example.com&n=1",
                "https://ci.example.com/?by=[redacted]&n=1",
            ),
        ];
        for (given, expected) in cases {
            assert_eq!(emails(given.into()), expected);
        }
    }
}
