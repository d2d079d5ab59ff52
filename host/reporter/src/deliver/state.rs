//! The state of one delivery: the notes of earlier ones, its own results so far, and its notes for the next.

use super::deliverer::{Deliverer, DeliveryOptions};
use super::delivery::Delivery;
use crate::spool::{LockState, Outlook, Pause, ReadAgain, RunKey, RunsRead};
use crate::store::Store;
use crate::{clock, kill_points};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

/// The number of requests for different runs that fail in a row until DX counts as failing, and not a run.
const DX_FAILS: usize = 3;
/// The number of other runs without a verdict after which a delivery judges no more: each may take as long as a policy may.
const JUDGES_FAIL: usize = 1;
/// The time of failing after which a command attempts its own run only once: a fault that lasted a minute does not end within a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pauses of all runs: the first, long enough for a restarted proxy; the longest, within which the end of an outage is noticed.
const OF_ALL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5 * 60));
/// Pauses of one run that DX refuses while it accepts others, or that gets no verdict: the first and the longest.
const OF_ONE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60 * 60));
/// The time for which no jobs are sent to a DX that does not take them.
const WITHOUT_JOBS: Duration = Duration::from_hours(24);
/// The longest believed pause: one that ends later was noted by a clock that has been put back since.
const BELIEVED: Duration = Duration::from_secs(2 * 60 * 60);
/// The age of a directory's last change from which on a further change has another time: file systems count in steps of up to 2 s.
const SETTLED: Duration = Duration::from_secs(3);

/// The state of one delivery.
pub struct DeliveryState {
    name: String,
    outlook: Outlook,
    before: Outlook,
    runs_read: RunsRead,
    has_read: bool,
    /// Digests of the tokens that DX has refused.
    pub refused: BTreeSet<String>,
    /// Runs in which notifications wait for another destination.
    pub foreign: BTreeSet<RunKey>,
    /// The number of requests that failed since DX last accepted one.
    fails: usize,
    unjudged: usize,
    /// True if DX accepted a request.
    pub accepted: bool,
    pub begin: Instant,
    /// The number of jobs sent.
    pub jobs_sent: AtomicUsize,
}

impl DeliveryState {
    /// Reads the notes of earlier deliveries of this name.
    pub fn new(store: &Store, name: String) -> Self {
        let outlook = store.outlook(&name);
        Self {
            before: outlook.clone(),
            name,
            outlook,
            runs_read: RunsRead::new(),
            has_read: false,
            refused: BTreeSet::new(),
            foreign: BTreeSet::new(),
            fails: 0,
            unjudged: 0,
            accepted: false,
            begin: Instant::now(),
            jobs_sent: AtomicUsize::new(0),
        }
    }

    /// The end of the pause that DX asked for, if it is to come: milliseconds since 1970.
    pub fn asked_until(&self) -> Option<u64> {
        self.outlook.asked_until.filter(|until| is_to_come(*until))
    }

    /// The noted pause of other runs than the command's own, because DX accepted nothing before this delivery.
    pub fn failing(&self) -> Option<&Pause> {
        self.before.failing.as_ref().filter(|pause| is_to_come(pause.until))
    }

    /// The reason why DX has accepted nothing since its last acceptance.
    pub fn failing_for(&self) -> Option<&str> {
        self.outlook.failing.as_ref().map(|pause| pause.why.as_str())
    }

    /// Returns true if DX has been failing for so long that a run is attempted only once.
    pub fn is_hopeless(&self) -> bool {
        let patience = millis(PATIENCE);
        let failing = self.outlook.failing.as_ref();
        failing.is_some_and(|pause| now().saturating_sub(pause.since) > patience)
    }

    /// Returns true if DX itself fails, as far as this delivery has seen.
    pub fn dx_fails(&self) -> bool {
        self.fails >= DX_FAILS
    }

    /// Returns true if other runs may be judged again.
    pub fn judges(&self) -> bool {
        let paused = self
            .outlook
            .judging
            .as_ref()
            .is_some_and(|pause| is_to_come(pause.until));
        !paused && self.unjudged < JUDGES_FAIL
    }

    pub fn was_accepted(&mut self) {
        (self.accepted, self.fails) = (true, 0);
        self.outlook.failing = None;
        self.outlook.asked_until = None;
    }

    /// Returns true if DX does not take jobs, as far as is known.
    pub fn lacks_jobs(&self) -> bool {
        let until = self.outlook.no_jobs_until;
        // A later time was noted by a clock that has been put back since.
        until.is_some_and(|until| until > now() && until - now() <= millis(WITHOUT_JOBS))
    }

    /// Notes that DX does not take jobs. Returns the time until which none is sent: milliseconds since 1970.
    pub fn has_no_jobs(&mut self) -> u64 {
        *self.outlook.no_jobs_until.insert(now() + millis(WITHOUT_JOBS))
    }

    pub fn was_judged(&mut self) {
        self.outlook.judging = None;
    }

    /// Notes a failed request. `is_first`: the first failure of its run; `after`: the pause that DX asked for, for all runs.
    pub fn has_failed(&mut self, why: &str, after: Option<Duration>, is_first: bool) {
        self.fails += usize::from(is_first);
        if let Some(after) = after {
            self.outlook.asked_until = Some(now() + millis(after));
        }
        if !self.accepted || self.dx_fails() {
            self.outlook.failing = Some(grown(self.outlook.failing.take(), why, OF_ALL));
        }
    }

    pub fn got_no_verdict(&mut self, why: &str) {
        self.unjudged += 1;
        self.outlook.judging = Some(grown(self.outlook.judging.take(), why, OF_ONE));
    }

    /// Reads the notes on runs that need not be read.
    fn read_notes(&mut self, store: &Store) {
        if !self.has_read {
            self.runs_read = store.runs_read(&self.name);
        }
    }

    /// The note on a run, if its directory last changed at this time.
    pub fn known(&self, key: RunKey, changed: u64) -> Option<ReadAgain> {
        let (then, again) = self.runs_read.get(&key)?;
        (*then == changed).then_some(*again)
    }

    /// Returns true if a run with this note is to be read.
    pub fn is_due(&self, again: ReadAgain) -> bool {
        match again {
            ReadAgain::At(time) => !is_to_come(time),
            ReadAgain::WhenJudged => self.judges(),
            ReadAgain::WhenChanged => false,
        }
    }

    /// Notes that a run was read, and when it is to be read again.
    pub fn note_read(&mut self, key: RunKey, changed: u64, again: ReadAgain) {
        let settled = now().saturating_mul(1_000_000).saturating_sub(changed) > nanos(SETTLED);
        if settled {
            self.runs_read.insert(key, (changed, again));
            self.has_read = true;
        }
    }

    /// Removes the notes on runs that are gone.
    fn keep_only(&mut self, runs: &BTreeSet<RunKey>) {
        let before = self.runs_read.len();
        self.runs_read.retain(|key, _| runs.contains(key));
        self.has_read |= before != self.runs_read.len();
    }

    /// Writes the notes for the next delivery.
    pub fn end(self, store: &Store) {
        if self.outlook != self.before {
            store.note_outlook(&self.name, &self.outlook);
        }
        if self.has_read {
            store.note_runs_read(&self.name, &self.runs_read);
        }
    }
}

/// The time at which a failing run is due again, if it has been failing since `since`.
pub fn due_again(since: u64) -> u64 {
    let (now, (first, longest)) = (now(), OF_ONE);
    now + now.saturating_sub(since).clamp(millis(first), millis(longest))
}

/// The next pause: as long as the failing has lasted, within bounds. So it doubles, for any process and any number of attempts.
fn grown(pause: Option<Pause>, why: &str, (first, longest): (Duration, Duration)) -> Pause {
    let now = now();
    let since = pause.map_or(now, |pause| pause.since.min(now));
    Pause {
        since,
        until: now + (now - since).clamp(millis(first), millis(longest)),
        why: why.to_owned(),
    }
}

/// Returns true if a time is to come, and not so far away that a clock must have been wrong.
pub fn is_to_come(time: u64) -> bool {
    let now = now();
    time > now && time - now < millis(BELIEVED)
}

pub fn now() -> u64 {
    clock::milliseconds()
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

/// The runs that wait beside the delivery's own.
#[derive(Default)]
pub struct OtherRuns {
    /// The runs that are due.
    pub due: Vec<RunKey>,
    /// The runs that need not be read.
    pub skipped: Vec<RunKey>,
    /// The time of each directory's last change: nanoseconds since 1970.
    pub changed: BTreeMap<RunKey, u64>,
    _lock: Option<Arc<LockState>>,
}

impl OtherRuns {
    /// Lists the runs, if no other process delivers them.
    pub fn of(
        deliverer: &Deliverer<'_>,
        options: &DeliveryOptions<'_>,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> Self {
        kill_points::pass("deliver.lock");
        let until = if options.wait && deliverer.own.explicit {
            options.budget.deadline()
        } else {
            Instant::now()
        };
        let Some(lock) = deliverer.store.lock(until) else {
            delivery.busy = true;
            return Self::default();
        };
        state.read_notes(deliverer.store);
        let (runs, left) = match deliverer.store.runs_by_change(&|| options.budget.left().is_some()) {
            Ok(runs) => runs,
            Err(error) => {
                delivery.warn(error.to_string());
                return Self::default();
            }
        };
        delivery.not_attempted += left;
        if left == 0 {
            state.keep_only(&runs.iter().map(|(key, _)| *key).collect());
        }
        let mut others = Self {
            _lock: Some(lock),
            ..Self::default()
        };
        for (key, time) in runs.into_iter().filter(|(key, _)| Some(*key) != options.first) {
            match state.known(key, time) {
                Some(again) if !deliverer.own.explicit && !state.is_due(again) => {
                    delivery.others_wait += usize::from(again != ReadAgain::WhenChanged);
                    others.skipped.push(key);
                }
                _ => others.due.push(key),
            }
            others.changed.insert(key, time);
        }
        others
    }
}
