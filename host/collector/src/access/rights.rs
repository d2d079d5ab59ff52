//! The rights of a token: writing or reading, and patterns for names of pipelines.

use pipefold::glob;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The most patterns a token may have: each is tried for each name.
pub const MAX_GLOBS: usize = 64;

/// Reading, writing, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rights {
    /// Reports runs, and sees none.
    Write,
    /// Sees runs, and reports none.
    Read,
    /// Reports runs, and sees them.
    ReadWrite,
}

impl Rights {
    /// Returns the term in the tokens' file and in lists, such as `read-write`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        }
    }
}

/// Access to pipelines: which may be written to, and which may be seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Access {
    rights: Rights,
    /// The patterns of pipelines. An empty list means no pipeline.
    pipelines: Vec<Glob>,
}

impl Access {
    /// Returns `rights` on the pipelines whose names match any of the patterns. Patterns after the first [`MAX_GLOBS`] are ignored.
    #[must_use]
    pub fn new(rights: Rights, mut pipelines: Vec<Glob>) -> Self {
        pipelines.truncate(MAX_GLOBS);
        Self { rights, pipelines }
    }

    /// Returns all rights: for a server that needs no token, and for the server's own work.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            rights: Rights::ReadWrite,
            pipelines: "*".parse().into_iter().collect(),
        }
    }

    /// Returns true if runs may be reported at all.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(self.rights, Rights::Write | Rights::ReadWrite)
    }

    /// Returns true if runs may be seen at all.
    #[must_use]
    pub fn reads(&self) -> bool {
        matches!(self.rights, Rights::Read | Rights::ReadWrite)
    }

    /// Returns true if runs of this pipeline may be reported.
    #[must_use]
    pub fn may_write(&self, pipeline: &str) -> bool {
        self.writes() && self.covers(pipeline)
    }

    /// Returns true if runs of this pipeline may be seen.
    #[must_use]
    pub fn may_see(&self, pipeline: &str) -> bool {
        self.reads() && self.covers(pipeline)
    }

    /// Returns true if every pipeline may be seen, known or not.
    #[must_use]
    pub fn sees_everything(&self) -> bool {
        self.reads() && self.pipelines.iter().any(|glob| glob.as_str() == "*")
    }

    /// The rights.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// The patterns.
    #[must_use]
    pub fn pipelines(&self) -> &[Glob] {
        &self.pipelines
    }

    fn covers(&self, pipeline: &str) -> bool {
        self.pipelines.iter().any(|glob| glob.matches(pipeline))
    }
}

/// The longest pattern, in bytes: longer than the names of pipelines are, and short enough that matching the longest name that the rules
/// allow takes microseconds.
pub const MAX_GLOB: usize = 256;

/// A pattern: `*` matches any characters, also none and also `/`; `?` matches one; everything else matches itself, case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(String);

impl Glob {
    /// Returns true if all of `name` fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        glob::matches(&self.0, name, |one, other| one == other)
    }

    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            Err(GlobError::Empty)
        } else if text.len() > MAX_GLOB {
            Err(GlobError::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(GlobError::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Glob {
    type Error = GlobError;

    fn try_from(text: String) -> Result<Self, GlobError> {
        text.parse()
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A fault of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// It is empty, and would match nothing.
    #[error("a pattern for pipelines is empty: use `*` for all of them")]
    Empty,
    /// It is longer than [`MAX_GLOB`].
    #[error("a pattern for pipelines is longer than {MAX_GLOB} bytes: shorten it, `*` matches any characters")]
    TooLong,
    /// It has a control character, which no name of a pipeline has.
    #[error("a pattern for pipelines has a control character, which no pipeline's name has: remove it")]
    Control,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn access(rights: Rights, globs: &[&str]) -> Access {
        Access::new(rights, globs.iter().map(|glob| glob.parse().unwrap()).collect())
    }

    #[test]
    fn rights_and_names_must_both_fit() {
        let write = access(Rights::Write, &["web-*", "api"]);
        assert!(write.may_write("web-1") && write.may_write("api"));
        assert!(!write.may_write("apis") && !write.may_write("Web-1"));
        assert!(!write.may_see("web-1") && !write.reads() && !write.sees_everything());
        let read = access(Rights::Read, &["*"]);
        assert!(read.may_see("x") && read.sees_everything() && !read.may_write("x") && !read.writes());
        let both = access(Rights::ReadWrite, &["a?"]);
        assert!(both.may_see("ab") && both.may_write("ab") && !both.sees_everything());
        assert!(Access::everything().may_see("") && Access::everything().may_write("x/y"));
    }

    #[test]
    fn no_patterns_are_no_pipelines_and_too_many_are_cut() {
        assert!(!access(Rights::ReadWrite, &[]).may_see("x"));
        let many: Vec<String> = (0..=MAX_GLOBS).map(|n| format!("p{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let access = access(Rights::Read, &many);
        assert!(access.may_see("p63") && !access.may_see("p64"));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod glob_tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        pattern.parse::<Glob>().unwrap().matches(name)
    }

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "anything/at all"),
            ("web", "web"),
            ("web-*", "web-"),
            ("web-*", "web-a/b"),
            ("*-deploy", "web-deploy-deploy"),
            ("a*b*c", "a-b-b-c"),
            ("a**c", "ac"),
            ("?é?", "xéy"),
            ("*a?", "aaab"),
            ("[x]", "[x]"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("web", "Web"),
            ("web", "web2"),
            ("web-*", "web"),
            ("?", ""),
            ("?", "ab"),
            ("a*b*c", "a-c-b"),
            ("*-deploy", "web-deploys"),
            ("*a?", "ba"),
            ("[x]", "x"),
            (r"\*", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_worst_pattern_ends_soon() {
        let pattern = "*a".repeat(MAX_GLOB / 2);
        let name = format!("{}b", "a".repeat(4096));
        let begun = std::time::Instant::now();
        assert!(!fits(&pattern, &name));
        assert!(begun.elapsed().as_secs() < 5);
    }

    #[test]
    fn invalid_patterns_are_refused() {
        assert_eq!("".parse::<Glob>(), Err(GlobError::Empty));
        assert_eq!("a\n".parse::<Glob>(), Err(GlobError::Control));
        assert_eq!("x".repeat(MAX_GLOB + 1).parse::<Glob>(), Err(GlobError::TooLong));
        assert!("x".repeat(MAX_GLOB).parse::<Glob>().is_ok());
        assert!(serde_json::from_str::<Glob>(r#""""#).is_err());
    }
}
