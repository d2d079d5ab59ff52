//! The times at which a run, and all of them, are sent and retried, and the runs that are sent as cancelled after no activity for long.

use crate::store::{Forwarding, MAX_PAGE, RunSummary, StaleQuery, Store, StoreError};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chrono::{TimeDelta, Utc};
use pipefold::dx::GIVEN_UP_AFTER;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// The failures in a row, of different requests, after which DX counts as failing and not a run.
const DX_FAILS: u32 = 3;

/// The most runs with a pause of their own. When more fail, those that fail later are retried sooner, at the pace of all.
const MOST: usize = 10_000;

/// The pauses in progress.
#[derive(Debug)]
pub struct Pauses {
    builder: ExponentialBuilder,
    longest: Duration,
    runs: HashMap<u64, OwnPause>,
    failures: u32,
    all: ExponentialBackoff,
    all_until: Option<Instant>,
}

#[derive(Debug)]
struct OwnPause {
    until: Instant,
    pauses: ExponentialBackoff,
    /// The time of DX's first refusal.
    refused_since: Option<Instant>,
    /// The number of the run's notifications, if only its jobs were refused: one more ends the pause.
    of_jobs: Option<u32>,
}

impl Pauses {
    pub fn new(first: Duration, longest: Duration) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(first)
            .with_max_delay(longest)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter()
            // The library's default seed is the same everywhere, and all machines would send again at once.
            .with_jitter_seed(RandomState::new().build_hasher().finish());
        Self {
            builder,
            longest,
            runs: HashMap::new(),
            failures: 0,
            all: builder.build(),
            all_until: None,
        }
    }

    /// Returns the rest of a pause of all runs.
    pub fn all(&self, now: Instant) -> Option<Duration> {
        self.all_until?
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    /// Returns true if this run may be sent, which has so many notifications.
    pub fn is_due(&self, run: u64, notifications: u32, now: Instant) -> bool {
        self.runs
            .get(&run)
            .is_none_or(|pause| pause.until <= now || pause.of_jobs.is_some_and(|before| before != notifications))
    }

    /// Returns the time until the first of the paused runs is due.
    pub fn first_due(&self, now: Instant) -> Option<Duration> {
        let first = self.runs.values().map(|pause| pause.until).min()?;
        Some(first.saturating_duration_since(now))
    }

    /// Records that DX answered, whatever the answer.
    pub fn reached(&mut self) {
        self.failures = 0;
        self.all = self.builder.build();
        self.all_until = None;
    }

    /// Ends the pause of a run.
    pub fn settled(&mut self, run: u64) {
        self.runs.remove(&run);
    }

    /// Records a transient failure for a run; `after` is the pause that DX asked for, which holds for all.
    pub fn failed(&mut self, run: u64, after: Option<Duration>, now: Instant) {
        self.pause(run, now);
        self.failures = self.failures.saturating_add(1);
        if let Some(after) = after {
            self.pause_all(after, now);
        } else if self.failures >= DX_FAILS {
            let pause = self.all.next().unwrap_or(self.longest);
            self.pause_all(pause, now);
        }
    }

    /// Records a refusal that may pass. Returns true if refusals went on for so long that this one is final.
    pub fn refused(&mut self, run: u64, now: Instant) -> bool {
        self.pause(run, now);
        self.runs.get_mut(&run).is_some_and(|pause| {
            let since = *pause.refused_since.get_or_insert(now);
            now.duration_since(since) > GIVEN_UP_AFTER
        })
    }

    /// Records a refusal of jobs of a run with so many notifications, as [`Pauses::refused`] does. It does not delay the run's own news.
    pub fn jobs_refused(&mut self, run: u64, notifications: u32, now: Instant) -> bool {
        let is_final = self.refused(run, now);
        if let Some(pause) = self.runs.get_mut(&run) {
            pause.of_jobs = Some(notifications);
        }
        is_final
    }

    /// Pauses all runs for the next of the long pauses, as nothing can be sent.
    pub fn stuck(&mut self, now: Instant) {
        let pause = self.all.next().unwrap_or(self.longest);
        self.pause_all(pause, now);
    }

    fn pause_all(&mut self, pause: Duration, now: Instant) {
        let until = now + pause;
        self.all_until = Some(self.all_until.map_or(until, |before| before.max(until)));
    }

    fn pause(&mut self, run: u64, now: Instant) {
        if self.runs.len() >= MOST && !self.runs.contains_key(&run) {
            return;
        }
        let own = self.runs.entry(run).or_insert_with(|| OwnPause {
            until: now,
            pauses: self.builder.build(),
            refused_since: None,
            of_jobs: None,
        });
        own.of_jobs = None;
        own.until = now + own.pauses.next().unwrap_or(self.longest);
    }
}

/// The pace of sending.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    pub fn new(per_second: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / per_second.clamp(0.1, 1000.0)),
            next: None,
        }
    }

    /// Returns the wait before sending at `now`. The send counts at the end of the wait.
    pub fn wait(&mut self, now: Instant) -> Duration {
        // Unused time is no credit.
        let at = self.next.map_or(now, |next| next.max(now));
        self.next = Some(at + self.interval);
        at - now
    }
}

/// The longest pause between two walks over all stale runs. Their age is usually in hours.
const LONGEST_WALK_PAUSE: Duration = Duration::from_mins(5);

/// The most settled runs that are remembered, 16 bytes each. When there are more, some are checked in each walk.
const MOST_SETTLED: usize = 100_000;

/// A repeated walk over the stale runs.
#[derive(Debug)]
pub struct Stale {
    age: Duration,
    /// Time of the next walk.
    due: Instant,
    /// The last run of this walk.
    after: Option<u64>,
    found: VecDeque<u64>,
    /// The runs that were settled before, with their number of notifications.
    settled: HashMap<u64, u32>,
    /// The settled runs that this walk found: others are not stale any more.
    still: HashMap<u64, u32>,
}

impl Stale {
    pub fn new(age: Duration, now: Instant) -> Self {
        Self {
            age,
            due: now,
            after: None,
            found: VecDeque::new(),
            settled: HashMap::new(),
            still: HashMap::new(),
        }
    }

    /// Returns the next run that may have to be sent to DX; `None` until the next walk.
    pub async fn next(&mut self, store: &dyn Store, now: Instant) -> Result<Option<u64>, StoreError> {
        loop {
            if let Some(run) = self.found.pop_front() {
                return Ok(Some(run));
            }
            let before = TimeDelta::from_std(self.age).ok();
            let before = before.and_then(|age| Utc::now().checked_sub_signed(age));
            let Some(before) = before.filter(|_| now >= self.due) else {
                return Ok(None);
            };
            let after = self.after;
            let limit = MAX_PAGE;
            let page = store.stale(StaleQuery { before, after, limit }).await?;
            self.after = page.last().map(|run| run.id);
            if page.is_empty() {
                // A run is sent at most a tenth of the age too late.
                self.due = now + (self.age / 10).min(LONGEST_WALK_PAUSE);
                self.settled = std::mem::take(&mut self.still);
            }
            for run in page {
                self.found_stale(&run);
            }
        }
    }

    fn found_stale(&mut self, run: &RunSummary) {
        if self.settled.get(&run.id) == Some(&run.notifications) {
            self.settled(run.id, run.notifications);
        } else if run.waiting_since.is_none() {
            self.found.push_back(run.id);
        }
    }

    /// Records that a run needs no check before its next notification.
    pub fn settled(&mut self, run: u64, notifications: u32) {
        if self.still.len() < MOST_SETTLED {
            self.still.insert(run, notifications);
        }
    }

    /// Returns the time until the next walk.
    pub fn wait(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }
}

/// Returns true if DX accepted the run as one in progress, and has nothing newer.
pub fn goes_on_for_dx(forwarding: &Forwarding) -> bool {
    let answer = forwarding.answer.as_ref();
    answer.is_some_and(|answer| answer.accepted && !answer.as_cancelled)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod pauses_tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pauses() -> Pauses {
        Pauses::new(SECOND, 60 * SECOND)
    }

    #[test]
    fn a_run_that_fails_alone_holds_up_no_other() {
        let (mut pauses, now) = (pauses(), Instant::now());
        for _ in 0..20 {
            pauses.failed(1, None, now);
            pauses.reached();
        }
        assert!(pauses.all(now).is_none() && pauses.is_due(2, 1, now) && !pauses.is_due(1, 1, now));
        assert!(pauses.first_due(now).unwrap() >= 60 * SECOND && pauses.is_due(1, 1, now + 121 * SECOND));
        pauses.settled(1);
        assert!(pauses.is_due(1, 1, now) && pauses.first_due(now).is_none());
    }

    #[test]
    fn refused_jobs_do_not_delay_the_run() {
        let (mut pauses, now) = (pauses(), Instant::now());
        assert!(!pauses.jobs_refused(1, 4, now));
        assert!(!pauses.is_due(1, 4, now) && pauses.is_due(1, 5, now));
        pauses.failed(1, None, now);
        assert!(!pauses.is_due(1, 5, now), "the run failed itself");
        assert!(pauses.jobs_refused(1, 5, now + GIVEN_UP_AFTER + SECOND));
    }

    #[test]
    fn when_everything_fails_everything_pauses_longer_and_longer() {
        let (mut pauses, mut now) = (pauses(), Instant::now());
        let mut lengths = Vec::new();
        for run in 0..20 {
            pauses.failed(run, None, now);
            let pause = pauses.all(now);
            assert_eq!(pause.is_some(), run >= 2, "{run}");
            now += pause.unwrap_or_default();
            lengths.extend(pause);
        }
        assert!(
            lengths[0] < 3 * SECOND && *lengths.last().unwrap() >= 60 * SECOND,
            "{lengths:?}"
        );
        pauses.reached();
        assert!(pauses.all(now).is_none());
    }

    #[test]
    fn a_pause_that_dx_asks_for_holds_for_all() {
        let (mut pauses, now) = (pauses(), Instant::now());
        pauses.failed(1, Some(7 * SECOND), now);
        assert_eq!(pauses.all(now), Some(7 * SECOND));
        assert!(pauses.all(now + 7 * SECOND).is_none());
    }

    #[test]
    fn a_refusal_is_final_after_days_and_not_after_tries() {
        let (mut pauses, now) = (pauses(), Instant::now());
        for minute in 0..1000 {
            assert!(!pauses.refused(1, now + minute * 60 * SECOND));
        }
        assert!(!pauses.refused(2, now + GIVEN_UP_AFTER));
        assert!(pauses.refused(1, now + GIVEN_UP_AFTER + SECOND));
        assert!(!pauses.refused(2, now + GIVEN_UP_AFTER + SECOND));
    }
}

#[cfg(test)]
mod pace_tests {
    use super::*;

    #[test]
    fn a_pause_earns_nothing() {
        let mut pace = Pace::new(10.0);
        let begin = Instant::now();
        assert_eq!(pace.wait(begin), Duration::ZERO);
        assert_eq!(pace.wait(begin), Duration::from_millis(100));
        assert_eq!(pace.wait(begin), Duration::from_millis(200));
        let later = begin + Duration::from_secs(3600);
        assert_eq!(pace.wait(later), Duration::ZERO);
        assert_eq!(pace.wait(later), Duration::from_millis(100), "no burst");
        assert_eq!(pace.wait(later + Duration::from_millis(150)), Duration::from_millis(50));
    }
}
