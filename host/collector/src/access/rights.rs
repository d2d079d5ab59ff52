//! What the holder of a token may do.

use super::glob::Glob;
use serde::{Deserialize, Serialize};

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
    /// Both.
    ReadWrite,
}

impl Rights {
    /// The word for it in the tokens' file and in lists, such as `read-write`.
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
    /// A name that fits one of them is meant. None at all would mean no pipeline.
    pipelines: Vec<Glob>,
}

impl Access {
    /// `rights` on the pipelines whose names fit any of the patterns. Patterns after the first [`MAX_GLOBS`] count for nothing.
    #[must_use]
    pub fn new(rights: Rights, mut pipelines: Vec<Glob>) -> Self {
        pipelines.truncate(MAX_GLOBS);
        Self { rights, pipelines }
    }

    /// Everything: for a server that asks for no token, and for the server's own work.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            rights: Rights::ReadWrite,
            pipelines: "*".parse().into_iter().collect(),
        }
    }

    /// Returns whether runs may be reported at all.
    #[must_use]
    pub fn writes(&self) -> bool {
        matches!(self.rights, Rights::Write | Rights::ReadWrite)
    }

    /// Returns whether runs may be seen at all.
    #[must_use]
    pub fn reads(&self) -> bool {
        matches!(self.rights, Rights::Read | Rights::ReadWrite)
    }

    /// Returns whether runs of this pipeline may be reported.
    #[must_use]
    pub fn may_write(&self, pipeline: &str) -> bool {
        self.writes() && self.covers(pipeline)
    }

    /// Returns whether runs of this pipeline may be seen.
    #[must_use]
    pub fn may_see(&self, pipeline: &str) -> bool {
        self.reads() && self.covers(pipeline)
    }

    /// Returns whether every pipeline may be seen, known or not.
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
