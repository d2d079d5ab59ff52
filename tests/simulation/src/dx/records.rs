//! DX's records and counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::limit::{Limit, Window};
use super::record::{JobRecord, Record};
use crate::load::number;

/// The requests so far, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answered `ok`.
    pub accepted: u64,
    /// Requests about jobs that were answered `ok`; they are not among `accepted`.
    pub jobs: u64,
    /// Requests about jobs of runs that were not known yet; a sender sends the run and the job once more.
    pub early: u64,
    /// Answered 429.
    pub limited: u64,
    /// Answered with an error; a correct sender has none.
    pub refused: u64,
    /// Runs that DX shows as done.
    pub finished: u64,
    /// The most 429 that followed one another without an `ok` between them.
    pub worst_burst: u64,
}

/// All records of DX: one for each run and for each job, by the run's number.
#[derive(Debug)]
pub struct Records {
    inner: Mutex<Inner>,
    begun: Instant,
}

/// The jobs of a run, by their name.
pub type Jobs = BTreeMap<String, JobRecord>;

#[derive(Debug)]
struct Inner {
    window: Option<Window>,
    runs: Vec<Record>,
    /// Each run's jobs.
    jobs: HashMap<u32, Jobs>,
    /// The time at which each was first shown as done, in milliseconds after the beginning; 0 for never.
    done: Vec<u32>,
    counts: Counts,
    burst: u64,
    last_accepted: Option<Instant>,
    first_refusal: Option<String>,
}

/// The reason why a request is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The limit is reached, for so long.
    Limited(Duration),
    /// DX does not know the job's run.
    Early,
    /// DX refuses it.
    Wrong(String),
}

impl Records {
    /// Empty records of this number of runs.
    #[must_use]
    pub fn of(runs: u32, limit: Option<Limit>) -> Self {
        let inner = Inner {
            window: limit.map(Window::new),
            runs: vec![Record::default(); runs as usize],
            jobs: HashMap::new(),
            done: vec![0; runs as usize],
            counts: Counts::default(),
            burst: 0,
            last_accepted: None,
            first_refusal: None,
        };
        Self {
            inner: Mutex::new(inner),
            begun: Instant::now(),
        }
    }

    /// Takes a request about a run at `now`.
    pub(super) fn take(&self, given: &Map<String, Value>, now: Instant) -> Result<(), Refusal> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.take_place(now)?;
        let taken = inner.take(given, now.saturating_duration_since(self.begun));
        match &taken {
            Ok(()) => {
                inner.counts.accepted += 1;
                inner.last_accepted = Some(now);
            }
            Err(why) => {
                inner.counts.refused += 1;
                inner.first_refusal.get_or_insert_with(|| why.clone());
            }
        }
        taken.map_err(Refusal::Wrong)
    }

    /// Takes a request about a job at `now`.
    pub(super) fn take_job(&self, given: &Map<String, Value>, now: Instant) -> Result<(), Refusal> {
        let mut inner = self.lock();
        inner.take_place(now)?;
        let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
        let run = number(text("run_reference_id"));
        let is_known = |run: &u32| inner.runs.get(*run as usize).is_some_and(Record::is_known);
        let Some(run) = run.filter(is_known) else {
            inner.counts.early += 1;
            return Err(Refusal::Early);
        };
        match JobRecord::of(given) {
            Ok(job) => {
                inner.counts.jobs += 1;
                inner.last_accepted = Some(now);
                let jobs = inner.jobs.entry(run).or_default();
                jobs.insert(text("reference_id").to_owned(), job);
                Ok(())
            }
            Err(why) => {
                inner.counts.refused += 1;
                inner.first_refusal.get_or_insert_with(|| why.clone());
                Err(Refusal::Wrong(why))
            }
        }
    }

    /// A run's jobs.
    #[must_use]
    pub fn jobs(&self, run: u32) -> Jobs {
        self.lock().jobs.get(&run).cloned().unwrap_or_default()
    }

    /// Takes an upsert past any limit.
    ///
    /// # Errors
    /// The fault in it.
    pub fn accept(&self, given: &Map<String, Value>) -> Result<(), String> {
        self.lock().take(given, self.begun.elapsed())
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// The time of the last accepted request.
    #[must_use]
    pub fn last_accepted(&self) -> Option<Instant> {
        self.lock().last_accepted
    }

    /// The fault in the first refused request.
    #[must_use]
    pub fn first_refusal(&self) -> Option<String> {
        self.lock().first_refusal.clone()
    }

    /// A run's record.
    #[must_use]
    pub fn record(&self, run: u32) -> Record {
        self.lock().runs.get(run as usize).copied().unwrap_or_default()
    }

    /// The time at which a run was first shown as done.
    #[must_use]
    pub fn done(&self, run: u32) -> Option<Instant> {
        let millis = self
            .lock()
            .done
            .get(run as usize)
            .copied()
            .filter(|millis| *millis > 0)?;
        Some(self.begun + Duration::from_millis(millis.into()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // After a panic elsewhere the counts are still right.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts a request for the limit.
    fn take_place(&mut self, now: Instant) -> Result<(), Refusal> {
        if let Some(Err(left)) = self.window.as_mut().map(|window| window.take(now)) {
            self.counts.limited += 1;
            self.burst += 1;
            self.counts.worst_burst = self.counts.worst_burst.max(self.burst);
            return Err(Refusal::Limited(left));
        }
        self.burst = 0;
        Ok(())
    }

    fn take(&mut self, given: &Map<String, Value>, age: Duration) -> Result<(), String> {
        let name = given.get("reference_id").and_then(Value::as_str).unwrap_or_default();
        let run = number(name).map(|number| number as usize);
        let (run, record) = run
            .and_then(|run| Some((run, self.runs.get_mut(run)?)))
            .ok_or_else(|| format!("{name:?} is no run of this load"))?;
        let was_done = record.is_finished();
        record.take(given)?;
        if record.is_finished() && !was_done {
            self.counts.finished += 1;
            if let Some(done) = self.done.get_mut(run) {
                *done = u32::try_from(age.as_millis()).unwrap_or(u32::MAX).max(1);
            }
        }
        Ok(())
    }
}
