//! Counters of a policy's calls.

use serde::Serialize;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The result of a policy's call. Of several that apply, the last one here counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It passed the question and the answer on as it got them.
    Unchanged,
    /// It changed the question, or the report of the next plugin.
    Changed,
    /// It held what the next plugin did not hold.
    Held,
    /// It discarded what the next plugin did not discard.
    Discarded,
    /// The rules refuse the question.
    Refused,
    /// It failed.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unchanged,
        Self::Changed,
        Self::Held,
        Self::Discarded,
        Self::Refused,
        Self::Failed,
    ];

    /// Returns true if enforcing the policy makes another record than leaving it out.
    #[must_use]
    pub fn is_a_difference(self) -> bool {
        !matches!(self, Self::Unchanged | Self::Refused)
    }

    /// Its word in counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Held => "held",
            Self::Discarded => "discarded",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The counters of one policy, shared by all threads.
#[derive(Debug, Default)]
pub struct Tally {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    skipped: AtomicU64,
    nanoseconds: AtomicU64,
    memory: AtomicU64,
}

/// The values of a [`Tally`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls that ended.
    pub judged: u64,
    /// Calls by their [`Outcome`].
    pub unchanged: u64,
    /// As above.
    pub changed: u64,
    /// As above.
    pub held: u64,
    /// As above.
    pub discarded: u64,
    /// As above.
    pub refused: u64,
    /// As above.
    pub failed: u64,
    /// Questions that a monitored policy was not asked, as too many waited for it.
    pub skipped: u64,
    /// The time of all calls, without the time of the next plugin.
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub time: Duration,
    /// The most linear memory of a call, in bytes.
    pub memory: u64,
}

impl Tally {
    /// Counts one call.
    pub(crate) fn count(&self, outcome: Outcome, time: Duration, memory: u64) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.memory.fetch_max(memory, Ordering::Relaxed);
    }

    pub(crate) fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// The current values. Each is exact; together they may be of slightly different moments.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let [unchanged, changed, held, discarded, refused, failed] =
            [0, 1, 2, 3, 4, 5].map(|place: usize| self.outcomes[place].load(Ordering::Relaxed));
        Counts {
            judged: unchanged + changed + held + discarded + refused + failed,
            unchanged,
            changed,
            held,
            discarded,
            refused,
            failed,
            skipped: self.skipped.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)),
            memory: self.memory.load(Ordering::Relaxed),
        }
    }
}

impl Counts {
    /// The calls with this outcome.
    #[must_use]
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Unchanged => self.unchanged,
            Outcome::Changed => self.changed,
            Outcome::Held => self.held,
            Outcome::Discarded => self.discarded,
            Outcome::Refused => self.refused,
            Outcome::Failed => self.failed,
        }
    }
}

fn milliseconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1e3)
}
