//! Patterns of values: a text itself, a glob, or a regular expression.

use crate::template::Part;
use regex_lite::{Captures, Regex, RegexBuilder};
use std::ops::Range;

/// Bytes of a compiled regular expression. A usual one has a few hundred, and matching takes time in proportion.
const MOST_REGEX: usize = 32 << 10;
/// Groups within groups of a regular expression.
const DEEPEST: u32 = 20;

/// A pattern of a value.
#[derive(Debug)]
pub enum Pattern {
    /// The whole value.
    Is(String),
    /// The whole value, in which `*` stands for any text and `?` for one character.
    Glob(Glob),
    /// A regular expression that matches somewhere in the value.
    Regex(Regex),
}

/// The kind of a pattern: its key in a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Is,
    Glob,
    Regex,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Is, Self::Glob, Self::Regex];

    pub fn key(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::Glob => "glob",
            Self::Regex => "regex",
        }
    }

    /// Compiles a pattern.
    ///
    /// # Errors
    /// The fault of a regular expression.
    pub fn compile(self, text: &str) -> Result<Pattern, String> {
        Ok(match self {
            Self::Is => Pattern::Is(text.to_owned()),
            Self::Glob => Pattern::Glob(Glob::new(text)),
            Self::Regex => {
                let regex = RegexBuilder::new(text)
                    .size_limit(MOST_REGEX)
                    .nest_limit(DEEPEST)
                    .build()
                    .map_err(|error| format!("{text:?} is no regular expression here: {error}"))?;
                Pattern::Regex(regex)
            }
        })
    }
}

impl Pattern {
    /// Returns true if it matches a value.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Is(text) => text == value,
            Self::Glob(glob) => glob.stars(value).is_some(),
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    /// The value with the template in the place of what matches: of the whole value, or of each match of a regular expression. `None` if it
    /// does not match. Stops a little beyond `most` bytes.
    pub fn rewrite(&self, value: &str, template: &[Part], most: usize) -> Option<String> {
        let mut new = String::new();
        match self {
            Self::Is(text) => {
                if text != value {
                    return None;
                }
                expand(template, &mut new, most, |_| "");
            }
            Self::Glob(glob) => {
                let stars = glob.stars(value)?;
                let star = |at: usize| {
                    stars
                        .get(at)
                        .and_then(|range| value.get(range.clone()))
                        .unwrap_or_default()
                };
                expand(template, &mut new, most, star);
            }
            Self::Regex(regex) => {
                let (mut end, mut found) = (0, false);
                for captures in regex.captures_iter(value) {
                    found = true;
                    let whole = range(&captures, 0);
                    new.push_str(value.get(end..whole.start).unwrap_or_default());
                    end = whole.end;
                    let group = |at: usize| value.get(range(&captures, at)).unwrap_or_default();
                    expand(template, &mut new, most, group);
                    if new.len() > most {
                        return Some(new);
                    }
                }
                if !found {
                    return None;
                }
                new.push_str(value.get(end..).unwrap_or_default());
            }
        }
        Some(new)
    }
}

/// The place of a group; an empty one if it is not part of the match.
fn range(captures: &Captures<'_>, group: usize) -> Range<usize> {
    captures.get(group).map_or(0..0, |found| found.range())
}

/// Appends a template, each of its references replaced by the part of the value.
fn expand<'v>(template: &[Part], to: &mut String, most: usize, part: impl Fn(usize) -> &'v str) {
    for piece in template {
        match piece {
            Part::Text(text) => to.push_str(text),
            Part::Reference(at) => to.push_str(part(*at)),
        }
        if to.len() > most {
            return;
        }
    }
}

/// A pattern with `*` for any characters and `?` for one. All other characters stand for themselves.
#[derive(Debug)]
pub struct Glob(Vec<Token>);

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Char(char),
}

impl Glob {
    pub fn new(text: &str) -> Self {
        let token = |character| match character {
            '*' => Token::Any,
            '?' => Token::One,
            other => Token::Char(other),
        };
        Self(text.chars().map(token).collect())
    }

    /// The number of its `*`.
    pub fn count_stars(&self) -> usize {
        self.0.iter().filter(|token| **token == Token::Any).count()
    }

    /// The part of the value that each `*` stands for, the first ones as short as possible; `None` if the value does not match. Takes time in
    /// proportion to the value and the pattern: only the last `*` is ever tried with another length.
    pub fn stars(&self, value: &str) -> Option<Vec<Range<usize>>> {
        let mut stars: Vec<Range<usize>> = Vec::new();
        // The place in the pattern after the last `*`.
        let mut last = None;
        let (mut at, mut token) = (0, 0);
        loop {
            let next = value.get(at..).and_then(|rest| rest.chars().next());
            match (self.0.get(token), next) {
                (Some(Token::Any), _) => {
                    stars.push(at..at);
                    token += 1;
                    last = Some(token);
                    continue;
                }
                (None, None) => return Some(stars),
                (Some(Token::One), Some(found)) => {
                    at += found.len_utf8();
                    token += 1;
                    continue;
                }
                (Some(Token::Char(wanted)), Some(found)) if *wanted == found => {
                    at += found.len_utf8();
                    token += 1;
                    continue;
                }
                _ => {}
            }
            // The last `*` takes one character more.
            let (after, star) = (last?, stars.last_mut()?);
            let longer = value.get(star.end..)?.chars().next()?;
            star.end += longer.len_utf8();
            (at, token) = (star.end, after);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn stars<'v>(glob: &str, value: &'v str) -> Option<Vec<&'v str>> {
        let found = Glob::new(glob).stars(value)?;
        Some(found.into_iter().map(|range| &value[range]).collect())
    }

    #[test]
    fn globs_match_whole_values() {
        assert_eq!(stars("main", "main"), Some(vec![]));
        assert_eq!(stars("main", "maine"), None);
        assert_eq!(stars("main", "a/main"), None);
        assert_eq!(stars("*[bot]", "dependabot[bot]"), Some(vec!["dependabot"]));
        assert_eq!(stars("*[bot]", "dependabotb"), None);
        assert_eq!(stars("dependabot/*", "dependabot/cargo/a"), Some(vec!["cargo/a"]));
        assert_eq!(stars("*/*", "a/b/c"), Some(vec!["a", "b/c"]));
        assert_eq!(stars("*.*.*", "a.b"), None);
        assert_eq!(stars("**", "ab"), Some(vec!["", "ab"]));
        assert_eq!(stars("*a", "aaa"), Some(vec!["aa"]));
        assert_eq!(stars("", ""), Some(vec![]));
        assert_eq!(stars("*", ""), Some(vec![""]));
        assert_eq!(stars("?", ""), None);
        assert_eq!(stars("v?.*", "v1.2.3"), Some(vec!["2.3"]));
        assert_eq!(stars("*?", "éé"), Some(vec!["é"]));
        assert_eq!(stars("?é*", "éé"), Some(vec![""]));
    }

    #[test]
    fn a_glob_takes_time_in_proportion() {
        let value = "a".repeat(4096);
        let glob = format!("{}b", "*a".repeat(200));
        // Trying each length of each `*` would never end.
        assert_eq!(stars(&glob, &value), None);
    }

    #[test]
    fn regular_expressions_rewrite_what_matches() {
        let rewrite = |regex: &str, template: &str, value: &str| {
            let pattern = Kind::Regex.compile(regex).unwrap();
            let template = crate::template::parse(template, &pattern).unwrap();
            pattern.rewrite(value, &template, 4096)
        };
        assert_eq!(rewrite("^mono/(.+)$", "$1", "mono/api"), Some("api".into()));
        assert_eq!(rewrite("^mono/(.+)$", "$1", "other"), None);
        assert_eq!(rewrite("^mono/", "", "mono/mono/api"), Some("mono/api".into()));
        assert_eq!(rewrite("[0-9]+", "N", "a1b22"), Some("aNbN".into()));
        assert_eq!(rewrite("^$", "x", ""), Some("x".into()));
        assert_eq!(rewrite(".*", "", "all"), Some(String::new()));
        assert_eq!(rewrite("x*", "-", "ab"), Some("-a-b-".into()));
        assert_eq!(rewrite("(?P<a>.)(b)?", "${a}$2!", "c"), Some("c!".into()));
        assert_eq!(rewrite("(.)", "$$$1$", "c"), Some("$c$".into()));
        assert!(Kind::Regex.compile("(").is_err());
        assert!(Kind::Regex.compile("a{1000}{1000}").is_err());
        assert!(Kind::Regex.compile(&"(".repeat(1000)).is_err());
    }

    #[test]
    fn a_rewritten_value_stays_small() {
        let pattern = Kind::Regex.compile(".").unwrap();
        let template = crate::template::parse("$0$0$0$0", &pattern).unwrap();
        let long = pattern.rewrite(&"x".repeat(4096), &template, 4096).unwrap();
        assert!((4097..4200).contains(&long.len()), "{}", long.len());
    }
}
