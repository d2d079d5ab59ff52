//! Names of pipelines, stages and jobs.

use thiserror::Error;

/// The longest name. GoCD allows 255 bytes; a served pipeline has DX's name for it, which may have 4 KiB (`pipelineRuns.upsert`).
const MAX_BYTES: usize = 4096;

/// The name of a pipeline, a stage or a job, as the server stores it. Two are equal if every letter is; GoCD itself takes names that differ
/// only in case for the same, which is [`Name::is_same`].
///
/// GoCD's own have letters, digits, `_`, `-` and `.`; a pipeline that was reported to DX may have any text without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing, or only white space.
    #[error("a name is empty")]
    Blank,
    /// Longer than 4 KiB.
    #[error("a name is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It has a character that XML cannot carry, or a control character.
    #[error("a name has the character U+{:04X}, which no name may have", u32::from(*.0))]
    Character(char),
}

impl Name {
    /// Takes a name as it is.
    ///
    /// # Errors
    ///
    /// [`NameError`] if it is blank, longer than 4 KiB, or has control characters or characters that XML cannot carry.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.trim().is_empty() {
            return Err(NameError::Blank);
        }
        if text.len() > MAX_BYTES {
            return Err(NameError::TooLong);
        }
        // GoCD's own are ASCII.
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        match text.chars().find(|c| is_unfit(*c)) {
            Some(c) => Err(NameError::Character(c)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a GoCD server takes both for one name: it finds names without regard to case, and some documents have the spelling that was
    /// asked for. A stage that is spelled another way in the configuration goes on with its counter.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// Not a control character, and in XML 1.0's `Char` (section 2.2).
fn is_unfit(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn case_is_told_apart_by_equality_alone() {
        let name = |text| Name::new(text).unwrap();
        assert!(name("BUILD").is_same(&name("build")) && name("BUILD") != name("build"));
        assert!(!name("build").is_same(&name("build-1")));
    }
}
