//! How stages and jobs went.

/// How a stage or a job went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StageResult {
    /// Well.
    Passed,
    /// Badly.
    Failed,
    /// It was stopped.
    Cancelled,
    /// Not known, or not yet.
    #[default]
    Unknown,
}

impl StageResult {
    /// Reads GoCD's word for it, whatever its case; one that is not known is [`StageResult::Unknown`].
    #[must_use]
    pub fn parse(word: &str) -> Self {
        [Self::Passed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(word))
            .unwrap_or_default()
    }

    /// GoCD's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Unknown => "Unknown",
        }
    }

    /// The same in lower case: a category's term.
    #[must_use]
    pub fn term(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a stage is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StageState {
    /// It ended.
    Completed,
    /// It is under way.
    Building,
    /// It is under way, and a job of it has failed: the result is known, the end is not.
    Failing,
    /// Not known, or not yet begun.
    #[default]
    Unknown,
}

impl StageState {
    /// Reads GoCD's word for it, whatever its case. Go 2.4 writes the result here once a stage has ended. A word that is not known is
    /// [`StageState::Unknown`].
    #[must_use]
    pub fn parse(word: &str) -> Self {
        if StageResult::parse(word) != StageResult::Unknown {
            return Self::Completed;
        }
        [Self::Completed, Self::Building, Self::Failing]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(word))
            .unwrap_or_default()
    }

    /// GoCD's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Building => "Building",
            Self::Failing => "Failing",
            Self::Unknown => "Unknown",
        }
    }

    /// Whether the stage is under way.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Building | Self::Failing)
    }
}

/// Where a job is, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits for an agent.
    Scheduled,
    /// An agent has it.
    Assigned,
    /// The agent fetches what it needs.
    Preparing,
    /// Its tasks run.
    Building,
    /// The agent uploads what it made.
    Completing,
    /// It ended.
    Completed,
    /// It was stopped before an agent had it.
    Discontinued,
    /// Another job took its place.
    Rescheduled,
    /// Not known, or one of GoCD's that say nothing (Paused, Waiting).
    #[default]
    Unknown,
}

impl JobState {
    /// Reads GoCD's word for it, whatever its case; one that is not known is [`JobState::Unknown`].
    #[must_use]
    pub fn parse(word: &str) -> Self {
        [
            Self::Scheduled,
            Self::Assigned,
            Self::Preparing,
            Self::Building,
            Self::Completing,
            Self::Completed,
            Self::Discontinued,
            Self::Rescheduled,
        ]
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(word))
        .unwrap_or_default()
    }

    /// GoCD's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Assigned => "Assigned",
            Self::Preparing => "Preparing",
            Self::Building => "Building",
            Self::Completing => "Completing",
            Self::Completed => "Completed",
            Self::Discontinued => "Discontinued",
            Self::Rescheduled => "Rescheduled",
            Self::Unknown => "Unknown",
        }
    }
}
