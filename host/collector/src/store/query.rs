//! What can be asked of a store, and the answers.

use super::run::RunSummary;
use crate::access::Access;
use chrono::{DateTime, Utc};
use pipefold_sandbox::Status;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most runs a page may have: what a reader scrolls through, and still a few milliseconds.
pub const MAX_PAGE: u16 = 200;

/// A question for a page of runs.
#[derive(Clone, Debug)]
pub struct RunQuery {
    /// The filter.
    pub filter: RunFilter,
    /// Whose pipelines: only those that it may see.
    pub access: Access,
    /// [`Page::next`] of the page before; `None` for the newest.
    pub after: Option<Cursor>,
    /// The most runs to return; taken as [`MAX_PAGE`] when larger, as 1 when 0.
    pub limit: u16,
}

/// A filter of runs. Fields that are `None` do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// The pipeline, exactly.
    pub pipeline: Option<String>,
    /// The status.
    pub status: Option<Status>,
    /// The branch, exactly.
    pub branch: Option<String>,
    /// Any of the e-mail address and the two user names, exactly.
    pub person: Option<String>,
    /// Whether DX refused it for good.
    pub refused: bool,
    /// Part of the reference, of the names of pipeline, repository and branch, of the commit or of the person, in any case; or `#12`, the
    /// number of a pull request. A whole reference finds that run alone.
    pub text: Option<String>,
}

/// Runs, newest first: by their start, or by the arrival of their first notification where that was before it, so that a wrong clock
/// cannot keep a run on top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// Cursor of the next page; `None` at the end. There may be fewer runs than asked for, even none, and yet more of them: a search looks at a
    /// bounded number of runs at a time.
    ///
    /// Going on shows every run that is older; one whose start moves back while one reads may be seen twice.
    pub next: Option<Cursor>,
}

/// A place between two runs of a list. As text it is for URLs, and means nothing to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Milliseconds since 1970.
    pub(super) place: i64,
    pub(super) id: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.place, self.id)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (place, id) = text.split_once('.').ok_or(CursorError)?;
        let cursor = Self {
            place: place.parse().map_err(|_| CursorError)?,
            id: id.parse().map_err(|_| CursorError)?,
        };
        // One text for one place: what is not as we write it (`+1.02`) was not made here. SQLite's integers have a sign.
        if cursor.id > i64::MAX.unsigned_abs() || cursor.to_string() != text {
            return Err(CursorError);
        }
        Ok(cursor)
    }
}

/// A text that is no [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor: take it from the page before, or leave it out to begin with the newest runs")]
pub struct CursorError;

/// A question for a page of pipelines.
#[derive(Clone, Debug)]
pub struct PipelineQuery {
    /// Only those that it may see.
    pub access: Access,
    /// Only those whose name comes after this one, by its bytes: the last of the page before.
    pub after: Option<String>,
    /// The most to return.
    pub limit: u16,
}

/// A pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSummary {
    /// Its name.
    pub name: String,
    /// Its number of runs, by status.
    pub counts: StatusCounts,
    /// The counter of its latest run. Runs that were removed have had counters too.
    pub last_counter: u64,
    /// Time at which a run of it last appeared or changed its status.
    pub last_changed: DateTime<Utc>,
}

/// Numbers of runs by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Of no known status.
    pub unknown: u64,
    /// Running.
    pub running: u64,
    /// Ended well.
    pub success: u64,
    /// Stopped before their end.
    pub cancelled: u64,
    /// Ended badly.
    pub failure: u64,
}

impl StatusCounts {
    /// Returns how many there are of `status`.
    #[must_use]
    pub fn of(&self, status: Status) -> u64 {
        match status {
            Status::Unknown => self.unknown,
            Status::Running => self.running,
            Status::Success => self.success,
            Status::Cancelled => self.cancelled,
            Status::Failure => self.failure,
        }
    }

    /// Returns how many there are in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.unknown + self.running + self.success + self.cancelled + self.failure
    }

    /// The share of runs that passed among those that passed or failed, from 0 to 1; `None` when there are none.
    #[must_use]
    pub fn pass_rate(&self) -> Option<f64> {
        let judged = self.success + self.failure;
        (judged > 0).then(|| self.success as f64 / judged as f64)
    }

    pub(super) fn add(&mut self, status: Status) {
        *match status {
            Status::Unknown => &mut self.unknown,
            Status::Running => &mut self.running,
            Status::Success => &mut self.success,
            Status::Cancelled => &mut self.cancelled,
            Status::Failure => &mut self.failure,
        } += 1;
    }
}

/// A part of a pipeline's past. Of a pipeline with more than 20,000 runs in it, the newest of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsQuery {
    /// The pipeline.
    pub pipeline: String,
    /// Runs that started then or later.
    pub from: DateTime<Utc>,
    /// Runs that started before.
    pub until: DateTime<Utc>,
    /// The length of a [`Bucket`]; taken as a second when shorter.
    pub bucket: Duration,
}

/// The runs that started within one span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its begin, a whole number of spans after 1970.
    pub from: DateTime<Utc>,
    /// The number of runs, by status.
    pub counts: StatusCounts,
    /// The duration that half of the finished runs did not exceed; `None` when none finished.
    pub median: Option<Duration>,
    /// The duration that nine in ten of the finished runs did not exceed.
    pub p90: Option<Duration>,
}

/// A page of a pipeline's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedQuery {
    /// The pipeline, as it is spelt.
    pub pipeline: String,
    /// By what the runs are ordered, greatest first.
    pub order: FeedOrder,
    /// Only those below; `None` for the first page.
    pub before: Option<u64>,
    /// The most to return. GoCD's pages have 25.
    pub limit: u16,
}

/// Order of a feed, and meaning of its cursor. Both are exclusive, and strictly descending along the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedOrder {
    /// By [`RunSummary::completion`](super::RunSummary::completion), as up to GoCD 20.3: what changes comes to the top.
    Completion,
    /// By [`RunSummary::counter`](super::RunSummary::counter), as since GoCD 20.1.
    Counter,
}

/// Runs to remove. Their reference and their pipeline may be used again; their ids and counters are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Those whose latest notification came before.
    pub before: DateTime<Utc>,
    /// Whether to keep those of which DX does not know everything: for a server that forwards.
    pub keep_waiting: bool,
}

/// A question for runs that are still running, or of unknown status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleQuery {
    /// Those whose latest notification came before.
    pub before: DateTime<Utc>,
    /// Only those with a greater id: the last of the page before.
    pub after: Option<u64>,
    /// The most to return.
    pub limit: u16,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_a_url_and_nothing_else_is_one() {
        for (place, id) in [(0, 0), (-5, 7), (i64::MIN, 1), (i64::MAX, i64::MAX.unsigned_abs())] {
            let cursor = Cursor { place, id };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for text in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "+1.2",
            "1.02",
            "1.-2",
            "1.2.3",
            " 1.2",
            "1.9223372036854775808",
            "9223372036854775808.1",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }
}
