//! Runs of which nothing is heard any more.

use crate::store::{MAX_PAGE, RunDetail, RunSummary, StaleQuery, Store, StoreError};
use chrono::{TimeDelta, Utc};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The longest pause between two walks over all of them. Their age is in hours as a rule.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Runs that need not be looked at again which are remembered, 16 bytes each. When there are more, some are looked at in each walk.
const MOST: usize = 100_000;

/// Walks over the stale runs, again and again.
#[derive(Debug)]
pub struct Stale {
    age: Duration,
    /// Time of the next walk.
    due: Instant,
    /// The last run of this walk.
    after: Option<u64>,
    found: VecDeque<u64>,
    /// Runs that were settled before, with their number of notifications.
    settled: HashMap<u64, u32>,
    /// The same for those that this walk came across: others are not stale any more.
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

    /// The next run that may have to be sent to DX; `None` until the next walk.
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
                // Sent at most a tenth too late.
                self.due = now + (self.age / 10).min(LONGEST_PAUSE);
                self.settled = std::mem::take(&mut self.still);
            }
            for run in page {
                self.came_across(&run);
            }
        }
    }

    fn came_across(&mut self, run: &RunSummary) {
        if self.settled.get(&run.id) == Some(&run.notifications) {
            self.settled(run.id, run.notifications);
        } else if run.waiting_since.is_none() {
            self.found.push_back(run.id);
        }
    }

    /// A run needs no look before something new is heard of it.
    pub fn settled(&mut self, run: u64, notifications: u32) {
        if self.still.len() < MOST {
            self.still.insert(run, notifications);
        }
    }

    /// Returns how long until the next walk.
    pub fn wait(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }
}

/// Returns whether DX took the run as one that goes on, and knows nothing better.
pub fn goes_on_for_dx(run: &RunDetail) -> bool {
    let answer = run.forwarding.answer.as_ref();
    answer.is_some_and(|answer| answer.accepted && !answer.as_cancelled)
}
