//! Pipelines, their counts, and how they did over time.

use crate::access::Access;
use chrono::{DateTime, Utc};
use pipefold_sandbox::Status;
use std::time::Duration;

/// Which pipelines.
#[derive(Clone, Debug)]
pub struct PipelineQuery {
    /// Only those that it may see.
    pub access: Access,
    /// Only those whose name comes after this one, by its bytes: the last of the page before.
    pub after: Option<String>,
    /// How many at most.
    pub limit: u16,
}

/// A pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSummary {
    /// Its name.
    pub name: String,
    /// How many runs it has, by status.
    pub counts: StatusCounts,
    /// The counter of its latest run. Runs that were removed have had counters too.
    pub last_counter: u64,
    /// When a run of it last appeared or changed its status.
    pub last_changed: DateTime<Utc>,
}

/// How many runs there are of each status.
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
    /// How many there are of `status`.
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

    /// How many there are in all.
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

/// Which part of a pipeline's past. Of a pipeline with more than 20,000 runs in it, the newest of them.
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
    /// How many runs, by status.
    pub counts: StatusCounts,
    /// The duration that half of the finished runs did not exceed; `None` when none finished.
    pub median: Option<Duration>,
    /// The duration that nine in ten of the finished runs did not exceed.
    pub p90: Option<Duration>,
}
