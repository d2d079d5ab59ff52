//! Names and counters, and the runs that they identify on every server the same way.

use std::num::NonZeroU64;

use thiserror::Error;

use crate::address::encode;

/// The longest name. GoCD allows 255 bytes; a served pipeline has DX's name for it, which may have 4 KiB (`pipelineRuns.upsert`).
const MAX_BYTES: usize = 4096;

/// The name of a pipeline, a stage or a job, as the server stores it. Equality is case-sensitive; GoCD itself treats names that differ only
/// in case as the same, which is [`Name::is_same`].
///
/// GoCD's own names have letters, digits, `_`, `-` and `.`; a pipeline that was reported to DX may have any text without control
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

/// The fault of an invalid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// The name is empty or only white space.
    #[error("a name is empty")]
    Blank,
    /// The name is longer than 4 KiB.
    #[error("a name is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// The name has a character that XML cannot carry, or a control character.
    #[error("a name has the character U+{:04X}, which no name may have", u32::from(*.0))]
    Character(char),
}

impl Name {
    /// Takes a name unchanged.
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
        // GoCD's own names are ASCII.
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

    /// Returns true if a GoCD server treats both names as one: it finds names without regard to case, and some documents have the spelling
    /// of the request. A stage whose spelling changes in the configuration keeps its counter.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// Returns true for a control character, and for one outside XML 1.0's `Char` (section 2.2).
fn is_unfit(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// The number of a run of a pipeline, or of a stage within a pipeline's run, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counter(NonZeroU64);

impl Counter {
    /// The first run.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// Takes a number. Returns `None` for 0.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Parses decimal digits, without a sign.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok().and_then(Self::new)).flatten()
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl std::fmt::Display for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A pipeline's run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipelineLocator {
    /// The pipeline.
    pub name: Name,
    /// The run's counter.
    pub counter: Counter,
}

/// A stage's run within a pipeline's run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageLocator {
    /// The pipeline's run.
    pub pipeline: PipelineLocator,
    /// The stage.
    pub name: Name,
    /// The stage's counter in the pipeline's run: 2 and more are re-runs.
    pub counter: Counter,
}

/// A job in a stage's run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobLocator {
    /// The stage's run.
    pub stage: StageLocator,
    /// The job.
    pub name: Name,
}

/// The prefix of every [`Urn`].
const NAMESPACE: &str = "urn:x-go.studios.thoughtworks.com";

/// The `<id>` of a pipeline, stage or job document. It must not identify a document: servers were seen to send that of another pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Urn(String);

impl Urn {
    /// Takes the text without one `>` at its end, which the documentation's page has and no server sends.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.strip_suffix('>').unwrap_or(text).to_owned())
    }

    /// Returns the id of a pipeline's run. GoCD calls it a job's id.
    #[must_use]
    pub fn pipeline(run: &PipelineLocator) -> Self {
        Self(format!(
            "{NAMESPACE}:job-id:{}:{}",
            encode(run.name.as_str()),
            run.counter
        ))
    }

    /// Returns the id of a stage's run.
    #[must_use]
    pub fn stage(stage: &StageLocator) -> Self {
        Self(format!("{NAMESPACE}:stage-id:{}", stage_path(stage)))
    }

    /// Returns the id of a job.
    #[must_use]
    pub fn job(job: &JobLocator) -> Self {
        Self(format!(
            "{NAMESPACE}:job-id:{}:{}",
            stage_path(&job.stage),
            encode(job.name.as_str())
        ))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the path of a stage's run with names escaped as in addresses: a `:` in a name would separate two parts.
fn stage_path(stage: &StageLocator) -> String {
    let run = &stage.pipeline;
    let name = encode(run.name.as_str());
    format!(
        "{name}:{}:{}:{}",
        run.counter,
        encode(stage.name.as_str()),
        stage.counter
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn only_equality_is_case_sensitive() {
        let name = |text| Name::new(text).unwrap();
        assert!(name("BUILD").is_same(&name("build")) && name("BUILD") != name("build"));
        assert!(!name("build").is_same(&name("build-1")));
    }
}
