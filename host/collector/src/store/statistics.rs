//! Statistics of pipelines: the queries, the results, and how they are computed from runs.
//!
//! A run counts in the span that its start lies in. Durations are those of runs that passed or failed and have a finish.

use super::query::StatusCounts;
use super::run::RunSummary;
use crate::access::Access;
use chrono::{DateTime, Utc};
use pipefold_sandbox::Status;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A span of time, and the length of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Runs that started then or later.
    pub from: DateTime<Utc>,
    /// Runs that started before.
    pub until: DateTime<Utc>,
    /// The length of a [`Bucket`]; taken as a second when shorter.
    pub bucket: Duration,
}

impl Span {
    /// Returns the start of the span of the same length before this one.
    #[must_use]
    pub fn before(&self) -> DateTime<Utc> {
        self.from - (self.until - self.from)
    }
}

/// A query for the state of pipelines.
#[derive(Clone, Debug)]
pub struct OverviewQuery {
    /// The caller's access: only pipelines that it may see.
    pub access: Access,
    /// The span of the statistics.
    pub span: Span,
}

/// The branch whose runs count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Branch {
    /// The pipeline's [main branch](PipelineNow::branch).
    Main,
    /// Every branch, and runs without one.
    All,
    /// The branch of this name.
    Named(String),
}

/// A query for the history of a pipeline. Of a pipeline with more than 20,000 runs in the span and the one before, only the newest count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The pipeline. The caller checks its access.
    pub pipeline: String,
    /// The branch.
    pub branch: Branch,
    /// The span.
    pub span: Span,
}

/// The runs of a span in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The number of runs, by status.
    pub counts: StatusCounts,
    /// The duration that half of the runs did not exceed; `None` if there is none.
    pub median: Option<Duration>,
    /// The duration that nine in ten runs did not exceed.
    pub p90: Option<Duration>,
    /// The median of the times from the finish of a first failed run to the finish of the next one that passed, on one branch.
    pub to_green: Option<Duration>,
}

/// The state of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineNow {
    /// The pipeline's name.
    pub name: String,
    /// The main branch: of the newest 1,000 runs, the first of `main`, `master`, `trunk`, `default` and `develop` that has one, otherwise the
    /// branch with the most. `None` if no run has a branch: then all of them count as the main branch's.
    pub branch: Option<String>,
    /// The latest run of the main branch, whatever its status.
    pub latest: RunSummary,
    /// The status of the latest run of the main branch that passed or failed; `None` if none has.
    pub state: Option<Status>,
    /// The failure that the main branch is in.
    pub failing: Option<Failing>,
    /// The newest runs of the main branch, newest first, with the duration of those that are finished.
    pub recent: Vec<(Status, Option<Duration>)>,
    /// The main branch's runs of the span.
    pub figures: Figures,
    /// The main branch's runs of the span before.
    pub before: Figures,
    /// The commits on any branch that failed in the span, and that have also passed.
    pub flaky: u64,
}

impl PipelineNow {
    /// Returns the change of the median against the span before, as a factor.
    #[must_use]
    pub fn slowdown(&self) -> Option<f64> {
        factor(self.before.median, self.figures.median)
    }
}

/// Returns the change of a duration, as a factor. `None` where there is nothing to compare.
#[must_use]
pub fn factor(before: Option<Duration>, now: Option<Duration>) -> Option<f64> {
    let (before, now) = (before?, now?);
    (!before.is_zero()).then(|| now.div_duration_f64(before))
}

/// A failure of a branch: the failed runs since the last one that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The first of the failed runs.
    pub first: RunSummary,
    /// The latest of them.
    pub last: RunSummary,
    /// Their number.
    pub runs: u64,
    /// The names of the steps that failed in the latest.
    pub steps: Vec<String>,
    /// True if the commit of the latest has passed too.
    pub is_flaky: bool,
}

/// The history of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The state of the pipeline.
    pub now: Arc<PipelineNow>,
    /// The branch whose runs count; `None` for all runs.
    pub branch: Option<String>,
    /// The branches of the newest 1,000 runs with their number, most first.
    pub branches: Vec<(String, u64)>,
    /// The runs of the span.
    pub figures: Figures,
    /// The runs of the span before.
    pub before: Figures,
    /// True if there are more runs than count.
    pub is_cut: bool,
    /// The columns of the span, oldest first, without those that have no run.
    pub buckets: Vec<Bucket>,
    /// Steps, those with most executions first.
    pub steps: Vec<StepHistory>,
    /// The number of the newest runs of the span whose steps count; as many count of the span before.
    pub step_runs: u64,
    /// The newest of the commits on any branch that failed in the span, and that have also passed.
    pub flaky: Vec<FlakyCommit>,
    /// The latest runs, newest first.
    pub latest: Vec<RunSummary>,
    /// The ids of those of them that are [flaky](super::Store::flaky).
    pub flaky_runs: BTreeSet<u64>,
}

/// The runs that started within one column of a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The start, a whole number of columns after 1970.
    pub from: DateTime<Utc>,
    /// The number of runs, by status.
    pub counts: StatusCounts,
    /// The duration that half of the runs did not exceed; `None` if there is none.
    pub median: Option<Duration>,
    /// The duration that nine in ten runs did not exceed.
    pub p90: Option<Duration>,
}

/// A step in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepHistory {
    /// The step's name.
    pub name: String,
    /// Its executions in runs of the span.
    pub figures: StepFigures,
    /// Its executions in runs of the span before.
    pub before: StepFigures,
}

/// The executions of a step that passed or failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepFigures {
    /// Their number.
    pub runs: u64,
    /// The number of those that failed.
    pub failures: u64,
    /// The duration that half of them did not exceed; `None` if none has a start and a finish.
    pub median: Option<Duration>,
    /// The duration that nine in ten of them did not exceed.
    pub p90: Option<Duration>,
}

/// A commit that failed and passed in one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlakyCommit {
    /// The commit.
    pub commit: String,
    /// Its latest runs, oldest first.
    pub runs: Vec<RunSummary>,
}

/// A run as statistics need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The run's id.
    pub id: i64,
    /// The run's place, in milliseconds.
    pub place: i64,
    /// The number of its branch.
    pub branch: Option<usize>,
    pub status: Status,
    pub started: i64,
    pub finished: Option<i64>,
}

impl Sample {
    /// Returns the duration of a finished run.
    pub fn took(&self) -> Option<Duration> {
        let finished = self.finished?;
        Some(Duration::from_millis(
            u64::try_from(finished.saturating_sub(self.started)).unwrap_or(0),
        ))
    }

    pub fn is_judged(&self) -> bool {
        matches!(self.status, Status::Success | Status::Failure)
    }

    fn ended(&self) -> i64 {
        self.finished.unwrap_or(self.started)
    }
}

/// The runs of some time, counted and ranked.
#[derive(Default)]
pub struct Tally {
    counts: StatusCounts,
    durations: Vec<Duration>,
}

impl Tally {
    pub fn add(&mut self, sample: &Sample) {
        self.counts.add(sample.status);
        if sample.is_judged() {
            self.durations.extend(sample.took());
        }
    }

    /// Adds an execution of a step that passed or failed.
    pub fn add_step(&mut self, status: Status, took: Option<Duration>) {
        self.counts.add(status);
        self.durations.extend(took);
    }

    pub fn step(mut self) -> StepFigures {
        self.durations.sort_unstable();
        StepFigures {
            runs: self.counts.total(),
            failures: self.counts.failure,
            median: rank(&self.durations, 50),
            p90: rank(&self.durations, 90),
        }
    }
}

/// Returns the runs in numbers; they are oldest first.
pub fn figures<'s>(samples: impl Iterator<Item = &'s Sample>, of_one_branch: bool) -> Figures {
    let mut tally = Tally::default();
    let (mut failed_at, mut recoveries) = (None, Vec::new());
    for sample in samples {
        tally.add(sample);
        match sample.status {
            Status::Failure => failed_at = failed_at.or(Some(sample.ended())),
            Status::Success => {
                let length = |at| u64::try_from(sample.ended().saturating_sub(at)).unwrap_or(0);
                recoveries.extend(failed_at.take().map(|at| Duration::from_millis(length(at))));
            }
            _ => {}
        }
    }
    tally.durations.sort_unstable();
    recoveries.sort_unstable();
    Figures {
        counts: tally.counts,
        median: rank(&tally.durations, 50),
        p90: rank(&tally.durations, 90),
        to_green: rank(&recoveries, 50).filter(|_| of_one_branch),
    }
}

/// Returns the columns of a span, oldest first.
pub fn buckets<'s>(samples: impl Iterator<Item = &'s Sample>, span: &Span) -> Vec<Bucket> {
    let length = i64::try_from(span.bucket.as_millis()).unwrap_or(i64::MAX).max(1000);
    let mut tallies: BTreeMap<i64, Tally> = BTreeMap::new();
    for sample in samples {
        tallies.entry(sample.place.div_euclid(length)).or_default().add(sample);
    }
    let bucket = |(number, mut tally): (i64, Tally)| {
        tally.durations.sort_unstable();
        Bucket {
            // The first one may start before the earliest date.
            from: DateTime::from_timestamp_millis(number.saturating_mul(length)).unwrap_or(span.from),
            counts: tally.counts,
            median: rank(&tally.durations, 50),
            p90: rank(&tally.durations, 90),
        }
    };
    tallies.into_iter().map(bucket).collect()
}

/// The names of main branches, in the order in which they are looked for.
const MAIN_NAMES: [&str; 5] = ["main", "master", "trunk", "default", "develop"];

/// Returns the number of the main branch among the names of branches, which have these numbers of runs. See [`PipelineNow::branch`].
pub fn main_branch(names: &[String], runs: &[u64]) -> Option<usize> {
    let named = |wanted: &&str| names.iter().position(|name| name == wanted);
    MAIN_NAMES.iter().find_map(named).or_else(|| {
        // The first of equals: names are in the order of their latest run.
        let most = runs.iter().enumerate().rev().max_by_key(|(_, runs)| **runs);
        most.map(|(place, _)| place)
    })
}

/// Returns the least of the sorted `durations` that `percent` of them do not exceed (nearest rank).
pub fn rank(durations: &[Duration], percent: usize) -> Option<Duration> {
    let place = (durations.len() * percent).div_ceil(100).saturating_sub(1);
    durations.get(place).copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let ms = |durations: &[u64], percent| {
            let durations: Vec<_> = durations.iter().copied().map(Duration::from_millis).collect();
            rank(&durations, percent).map(|duration| duration.as_millis())
        };
        assert_eq!(ms(&[], 50), None);
        assert_eq!((ms(&[7], 50), ms(&[7], 90)), (Some(7), Some(7)));
        assert_eq!((ms(&[1, 2], 50), ms(&[1, 2, 3], 50)), (Some(1), Some(2)));
        let ten: Vec<u64> = (1..=10).collect();
        assert_eq!((ms(&ten, 50), ms(&ten, 90)), (Some(5), Some(9)));
    }

    #[test]
    fn the_main_branch_by_name_and_else_by_runs() {
        let main = |names: &[&str], runs: &[u64]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            main_branch(&names, runs).map(|place| names[place].clone())
        };
        assert_eq!(main(&["x", "master", "main"], &[9, 5, 1]).unwrap(), "main");
        assert_eq!(main(&["x", "master"], &[9, 5]).unwrap(), "master");
        assert_eq!(main(&["x", "y", "z"], &[2, 5, 5]).unwrap(), "y");
        assert_eq!(main(&[], &[]), None);
    }

    #[test]
    fn the_time_to_green_is_from_the_first_failure_to_the_next_success() {
        let sample = |at: i64, status| Sample {
            id: at,
            place: at,
            branch: None,
            status,
            started: at,
            finished: Some(at + 10),
        };
        use Status::{Cancelled, Failure, Running, Success};
        let all = [
            sample(0, Success),
            sample(100, Failure),
            sample(200, Failure),
            sample(250, Cancelled),
            sample(300, Success),
            sample(400, Success),
            sample(500, Failure),
            sample(600, Running),
        ];
        let figures_of = |of_one| figures(all.iter(), of_one);
        assert_eq!(figures_of(true).to_green, Some(Duration::from_millis(200)));
        assert_eq!(figures_of(false).to_green, None);
        let median = figures_of(true).median;
        assert_eq!(
            (figures_of(true).counts.total(), median),
            (8, Some(Duration::from_millis(10)))
        );
    }
}
