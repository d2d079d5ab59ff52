//! Patterns for names.

/// Returns true if the whole text fits a pattern: `*` matches any characters, also none and also `/`; `?` matches one; every other character
/// matches those that `is_same` says. Takes time in proportion to the product of the lengths at most.
#[must_use]
pub fn matches(pattern: &str, text: &str, is_same: impl Fn(char, char) -> bool) -> bool {
    let (mut pattern, mut rest) = (pattern.chars(), text.chars());
    // The place to go on after a mismatch behind the last star: only the last one ever needs another try.
    let mut star = None;
    loop {
        let mut ahead = pattern.clone();
        match (ahead.next(), rest.clone().next()) {
            (Some('*'), _) => {
                star = Some((ahead.clone(), rest.clone()));
                pattern = ahead;
            }
            (Some(wanted), Some(found)) if wanted == '?' || is_same(wanted, found) => {
                pattern = ahead;
                rest.next();
            }
            (None, None) => return true,
            _ => {
                let Some((after_star, from)) = &mut star else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                rest = from.clone();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    fn is_match(pattern: &str, text: &str) -> bool {
        super::matches(pattern, text, |one, other| one == other)
    }

    #[test]
    fn stars_match_anything() {
        for (pattern, text, fits) in [
            ("org/repo", "org/repo", true),
            ("org/repo", "org/repos", false),
            ("org/*", "org/a/b", true),
            ("*/repo", "org/repo", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("a*ab", "aaab", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("w?b", "weeb", false),
            ("?", "é", true),
            ("*?", "", false),
            ("?*-?", "web-1", true),
            ("Web", "web", false),
        ] {
            assert_eq!(is_match(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_the_product() {
        assert!(!is_match(&format!("{}c", "*a".repeat(1000)), &"a".repeat(4000)));
    }
}
