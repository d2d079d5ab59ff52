//! Patterns for names.

use crate::documents::Name;

/// A text in which `*` stands for any characters, also none and also `/`, and `?` for any one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Takes a pattern.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether all of a text fits. Takes time in proportion to the product of the lengths at most.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.fits(text, |one, other| one == other)
    }

    /// Whether a pipeline's name fits, whatever its case: GoCD finds names in that way.
    #[must_use]
    pub fn matches_name(&self, name: &Name) -> bool {
        self.fits(name.as_str(), |one, other| one.eq_ignore_ascii_case(&other))
    }

    fn fits(&self, text: &str, is_same: impl Fn(char, char) -> bool) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) = (self.0.chars().collect(), text.chars().collect());
        let (mut at, mut place) = (0, 0);
        // Behind the last star, and how much of the text it stands for so far. An earlier star need not be tried again.
        let mut star: Option<(usize, usize)> = None;
        while let Some(&c) = text.get(place) {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at + 1, place));
                    at += 1;
                }
                Some(&wanted) if wanted == '?' || is_same(wanted, c) => {
                    at += 1;
                    place += 1;
                }
                _ => {
                    let Some((behind, from)) = star else { return false };
                    star = Some((behind, from + 1));
                    (at, place) = (behind, from + 1);
                }
            }
        }
        pattern.iter().skip(at).all(|c| *c == '*')
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
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
            assert_eq!(Pattern::new(pattern).matches(text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn the_case_of_a_pipelines_name_does_not_count() {
        let name = |text| Name::new(text).unwrap();
        assert!(Pattern::new("WEB-*").matches_name(&name("web-Deploy")));
        assert!(!Pattern::new("WEB-*").matches_name(&name("api")));
    }

    #[test]
    fn many_stars_take_no_longer_than_the_product() {
        assert!(!Pattern::new(&format!("{}c", "*a".repeat(1000))).matches(&"a".repeat(4000)));
    }
}
