//! The state of one delivery: the notes of earlier ones, its own results so far, and its notes for the next.

use super::deliverer::{Deliverer, DeliveryOptions};
use super::delivery::Delivery;
use crate::spool::{LockState, LookAgain, LookedAt, Outlook, Pause, RunKey};
use crate::store::Store;
use crate::{clock, kill_points};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests for different runs that fail in a row before it is DX that fails, and not a run.
const DX_FAILS: usize = 3;
/// Other runs that get no verdict before a delivery asks for no more: each may take as long as a policy may.
const JUDGES_FAIL: usize = 1;
/// How long DX has to have been failing before a command tries its own run once and no more: what a minute did not mend, a second does not.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pauses of all runs: the first, long enough for a restarted proxy; the longest, within which the end of an outage is noticed.
const OF_ALL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5 * 60));
/// Pauses of one run that DX refuses while it takes others, or that gets no verdict.
const OF_ONE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60 * 60));
/// A pause that ends later than this from now was noted by a clock that has been put back since.
const BELIEVED: Duration = Duration::from_secs(2 * 60 * 60);
/// How long ago a directory must have changed for its time to tell the next change from it: file systems count in steps of up to 2 s.
const SETTLED: Duration = Duration::from_secs(3);

/// The state of one delivery.
pub struct DeliveryState {
    name: String,
    outlook: Outlook,
    before: Outlook,
    looked_at: LookedAt,
    has_looked: bool,
    /// Digests of the tokens that DX is known to have refused.
    pub refused: BTreeSet<String>,
    /// Runs in which something waits that was recorded for another destination.
    pub foreign: BTreeSet<RunKey>,
    /// Requests that failed since DX last accepted one.
    fails: usize,
    unjudged: usize,
    /// Whether DX accepted something.
    pub accepted: bool,
}

impl DeliveryState {
    /// Reads what earlier deliveries to the destination of this name left.
    pub fn new(store: &Store, name: String) -> Self {
        let outlook = store.outlook(&name);
        Self {
            before: outlook.clone(),
            name,
            outlook,
            looked_at: LookedAt::new(),
            has_looked: false,
            refused: BTreeSet::new(),
            foreign: BTreeSet::new(),
            fails: 0,
            unjudged: 0,
            accepted: false,
        }
    }

    /// When DX may be asked again, if it said so, and that is to come: milliseconds since 1970.
    pub fn asked_until(&self) -> Option<u64> {
        self.outlook.asked_until.filter(|until| is_to_come(*until))
    }

    /// Why DX took nothing before this delivery, if other runs than the command's own are to wait because of it.
    pub fn failing(&self) -> Option<&Pause> {
        self.before.failing.as_ref().filter(|pause| is_to_come(pause.until))
    }

    /// What DX answered, or did not, since it last accepted something.
    pub fn failing_for(&self) -> Option<&str> {
        self.outlook.failing.as_ref().map(|pause| pause.why.as_str())
    }

    /// Whether DX has been failing for so long that it is asked once for a run and no more.
    pub fn is_hopeless(&self) -> bool {
        let patience = millis(PATIENCE);
        let failing = self.outlook.failing.as_ref();
        failing.is_some_and(|pause| now().saturating_sub(pause.since) > patience)
    }

    /// Whether it is DX that fails, as far as this delivery has seen.
    pub fn dx_fails(&self) -> bool {
        self.fails >= DX_FAILS
    }

    /// Whether other runs are judged again.
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

    pub fn was_judged(&mut self) {
        self.outlook.judging = None;
    }

    /// A request failed, for the first time for its run or once more; `after` is what DX asked for, of everyone.
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

    /// Reads which runs need no look.
    fn look_around(&mut self, store: &Store) {
        if !self.has_looked {
            self.looked_at = store.looked_at(&self.name);
        }
    }

    /// What is known of a run whose directory changed last at this time.
    pub fn known(&self, key: RunKey, changed: u64) -> Option<LookAgain> {
        let (then, again) = self.looked_at.get(&key)?;
        (*then == changed).then_some(*again)
    }

    /// Whether a run of which this is known is to be looked at.
    pub fn is_due(&self, again: LookAgain) -> bool {
        match again {
            LookAgain::At(time) => !is_to_come(time),
            LookAgain::WhenJudged => self.judges(),
            LookAgain::WhenChanged => false,
        }
    }

    /// A run was looked at, and need not be before this.
    pub fn looked(&mut self, key: RunKey, changed: u64, again: LookAgain) {
        let settled = now().saturating_mul(1_000_000).saturating_sub(changed) > nanos(SETTLED);
        if settled {
            self.looked_at.insert(key, (changed, again));
            self.has_looked = true;
        }
    }

    /// Forgets runs that are gone.
    fn keep_only(&mut self, runs: &BTreeSet<RunKey>) {
        let before = self.looked_at.len();
        self.looked_at.retain(|key, _| runs.contains(key));
        self.has_looked |= before != self.looked_at.len();
    }

    /// Leaves it for the next delivery.
    pub fn end(self, store: &Store) {
        if self.outlook != self.before {
            store.note_outlook(&self.name, &self.outlook);
        }
        if self.has_looked {
            store.note_looked_at(&self.name, &self.looked_at);
        }
    }
}

/// When a run that fails by itself is due again, if it has been failing since then.
pub fn due_again(since: u64) -> u64 {
    let (now, (first, longest)) = (now(), OF_ONE);
    now + now.saturating_sub(since).clamp(millis(first), millis(longest))
}

/// The next pause: as long as it has been failing, within bounds. So it doubles, for any process and any number of tries.
fn grown(pause: Option<Pause>, why: &str, (first, longest): (Duration, Duration)) -> Pause {
    let now = now();
    let since = pause.map_or(now, |pause| pause.since.min(now));
    Pause {
        since,
        until: now + (now - since).clamp(millis(first), millis(longest)),
        why: why.to_owned(),
    }
}

/// Whether a time is to come, and not so far away that a clock must have been wrong.
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

/// What waits beside the delivery's own run.
#[derive(Default)]
pub struct OtherRuns {
    /// Those that are due.
    pub due: Vec<RunKey>,
    /// Those that need no look.
    pub skipped: Vec<RunKey>,
    /// When the directory of each last changed.
    pub changed: BTreeMap<RunKey, u64>,
    _lock: Option<Arc<LockState>>,
}

impl OtherRuns {
    /// Lists them, if no other process delivers them.
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
        state.look_around(deliverer.store);
        let (runs, left) = match deliverer.store.runs_by_change(&|| options.budget.left().is_some()) {
            Ok(runs) => runs,
            Err(error) => {
                delivery.warn(error.to_string());
                return Self::default();
            }
        };
        delivery.not_looked_at += left;
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
                    delivery.others_wait += usize::from(again != LookAgain::WhenChanged);
                    others.skipped.push(key);
                }
                _ => others.due.push(key),
            }
            others.changed.insert(key, time);
        }
        others
    }
}
