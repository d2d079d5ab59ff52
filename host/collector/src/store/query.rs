//! The queries of a store, and their results.

use super::run::RunSummary;
use crate::access::Access;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use pipefold_sandbox::Status;
use std::fmt;
use std::str::FromStr;

/// The most runs of a page: what a reader scrolls through, and still a few milliseconds.
pub const MAX_PAGE: u16 = 200;

/// A query for a page of runs.
#[derive(Clone, Debug)]
pub struct RunQuery {
    /// The filter.
    pub filter: RunFilter,
    /// The caller's access: only pipelines that it may see.
    pub access: Access,
    /// [`Page::next`] of the page before; `None` for the newest.
    pub after: Option<Cursor>,
    /// The most runs to return; taken as [`MAX_PAGE`] when larger, as 1 when 0.
    pub limit: u16,
}

/// A filter of runs. Fields that are `None` do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// The pipeline.
    pub pipeline: Option<String>,
    /// The status.
    pub status: Option<Status>,
    /// The branch.
    pub branch: Option<String>,
    /// The e-mail address, or one of the two user names.
    pub person: Option<String>,
    /// The repository.
    pub repository: Option<String>,
    /// The source, such as `Jenkins`.
    pub source: Option<String>,
    /// The beginning of the commit, without regard to case.
    pub commit: Option<String>,
    /// The number of the pull request.
    pub pr_number: Option<i64>,
    /// Runs that started then or later.
    pub from: Option<DateTime<Utc>>,
    /// Runs that started before.
    pub until: Option<DateTime<Utc>>,
    /// Unfinished runs whose latest notification came before.
    pub stale_before: Option<DateTime<Utc>>,
    /// Runs whose latest notification came then or later.
    pub active_since: Option<DateTime<Utc>>,
    /// True for runs that DX refused for good.
    pub refused: bool,
    /// A part of the reference, of the names of pipeline, repository and branch, of the commit or of the person, without regard to case; or
    /// `#12`, the number of a pull request. A whole reference finds that run alone.
    pub text: Option<String>,
    /// True if a [`Field`] may have a part of a name, without regard to case. A name that a visible run has stands for itself alone.
    pub parts: bool,
}

impl RunFilter {
    /// Returns the wanted name of a field.
    #[must_use]
    pub fn name(&self, field: Field) -> Option<&str> {
        let name = match field {
            Field::Pipeline => &self.pipeline,
            Field::Branch => &self.branch,
            Field::Person => &self.person,
            Field::Repository => &self.repository,
            Field::Source => &self.source,
        };
        name.as_deref()
    }
}

/// A field of a [`RunFilter`] that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// [`RunFilter::pipeline`].
    Pipeline,
    /// [`RunFilter::branch`].
    Branch,
    /// [`RunFilter::person`].
    Person,
    /// [`RunFilter::repository`].
    Repository,
    /// [`RunFilter::source`].
    Source,
}

impl Field {
    /// All fields.
    pub const ALL: [Self; 5] = [
        Self::Pipeline,
        Self::Branch,
        Self::Person,
        Self::Repository,
        Self::Source,
    ];
}

/// Returns the time of a filter's `from` or `to`: a day in UTC, or a time with its zone. A day at the end is included.
#[must_use]
pub fn bound(text: &str, is_end: bool) -> Option<DateTime<Utc>> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        let day = if is_end { day.succ_opt()? } else { day };
        return Some(day.and_time(NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// Runs, newest first: by their start, or by the arrival of their first notification if that was before it, so that a wrong clock cannot
/// keep a run on top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// Cursor of the next page; `None` at the end. A page may have fewer runs than its limit, even none, and yet more follow: a search
    /// reads runs for a bounded time.
    ///
    /// The following pages have every older run; one whose start moves back meanwhile may be seen twice.
    pub next: Option<Cursor>,
    /// The number of runs that fit; on the first page only.
    pub total: Option<Total>,
    /// The number of all runs that may be seen.
    pub of: u64,
    /// The fields whose name was taken as a part.
    pub parts: Vec<Field>,
}

/// Names to choose from, those of the newest runs first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Pipelines.
    pub pipelines: Vec<String>,
    /// Branches.
    pub branches: Vec<String>,
    /// E-mail addresses and user names.
    pub people: Vec<String>,
    /// Repositories.
    pub repositories: Vec<String>,
    /// Sources.
    pub sources: Vec<String>,
}

/// A number of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The runs that were counted.
    pub runs: u64,
    /// True if these are all.
    pub is_all: bool,
}

/// A place between two runs of a list. Its text is for URLs, and opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Milliseconds since 1970.
    pub(super) place: i64,
    pub(super) id: u64,
}

impl Cursor {
    /// Returns the time of the place.
    #[must_use]
    pub fn at(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.place)
    }
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
        // There is one text for one place: any other spelling (`+1.02`) was not made here. SQLite's integers have a sign.
        if cursor.id > i64::MAX.unsigned_abs() || cursor.to_string() != text {
            return Err(CursorError);
        }
        Ok(cursor)
    }
}

/// The error of a text that is not a [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor: take it from the page before, or leave it out to start with the newest runs")]
pub struct CursorError;

/// A query for a page of pipelines.
#[derive(Clone, Debug)]
pub struct PipelineQuery {
    /// The caller's access: only pipelines that it may see.
    pub access: Access,
    /// Only those whose name is after this one, by its bytes: the last of the page before.
    pub after: Option<String>,
    /// The most to return.
    pub limit: u16,
}

/// A pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSummary {
    /// The pipeline's name.
    pub name: String,
    /// The number of runs, by status.
    pub counts: StatusCounts,
    /// The counter of its latest run. Runs that were removed have had counters too.
    pub last_counter: u64,
    /// The time at which a run of it last appeared or changed its status.
    pub last_changed: DateTime<Utc>,
}

/// Numbers of runs by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Runs of unknown status.
    pub unknown: u64,
    /// Runs in progress.
    pub running: u64,
    /// Successful runs.
    pub success: u64,
    /// Cancelled runs.
    pub cancelled: u64,
    /// Failed runs.
    pub failure: u64,
}

impl StatusCounts {
    /// Returns the number of runs of `status`.
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

    /// Returns the number of all runs.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.unknown + self.running + self.success + self.cancelled + self.failure
    }

    /// Returns the percentage of runs that passed among those that passed or failed, from 0 to 100; `None` if there are none.
    #[must_use]
    pub fn pass_rate(&self) -> Option<f64> {
        let judged = self.success + self.failure;
        (judged > 0).then(|| 100.0 * self.success as f64 / judged as f64)
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

impl std::ops::AddAssign for StatusCounts {
    fn add_assign(&mut self, other: Self) {
        self.unknown += other.unknown;
        self.running += other.running;
        self.success += other.success;
        self.cancelled += other.cancelled;
        self.failure += other.failure;
    }
}

/// A query for a page of a pipeline's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedQuery {
    /// The pipeline, case-sensitive.
    pub pipeline: String,
    /// The order of the runs, greatest first.
    pub order: FeedOrder,
    /// Only runs below this number; `None` for the first page.
    pub before: Option<u64>,
    /// The most to return. GoCD's pages have 25.
    pub limit: u16,
}

/// The order of a feed, and the meaning of its cursor. Both are exclusive, and strictly descending along the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedOrder {
    /// The order of [`RunSummary::completion`](super::RunSummary::completion), as up to GoCD 20.3: changed runs come to the top.
    Completion,
    /// The order of [`RunSummary::counter`](super::RunSummary::counter), as since GoCD 20.1.
    Counter,
}

/// The runs to remove. Their reference and their pipeline may be used again; their ids and counters are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Runs whose latest notification came before this time.
    pub before: DateTime<Utc>,
    /// True to keep those that DX does not have completely: for a server that forwards.
    pub keep_waiting: bool,
}

/// A query for runs that are running, or of unknown status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleQuery {
    /// Runs whose latest notification came before this time.
    pub before: DateTime<Utc>,
    /// Only runs with a greater id: the last of the page before.
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
