//! Hands what was read to the reporter's spool, many runs at a time.
//!
//! The engine takes it that a run is on disk once it was taken, since it remembers that from then on. What it remembers gets onto the disk by
//! [`Remembered`], which first has everything recorded that was taken: so a run is never remembered that is not on disk, and one disk's wait
//! serves many runs.

use std::cell::RefCell;
use std::time::Duration;

use pipefold::spool::SpoolError;
use pipefold::{BatchError, Hook, Notification};
use pipefold_gocd::documents::Name;
use pipefold_gocd::sync::{News, PipelineState, Reported, ServerState, Sink, SinkError, StateError, StateStore};

use super::deliverer::Deliverer;
use super::state::StateFiles;
use super::stop::Stop;
use crate::commands::context::Context;
use crate::terminal::{neutral, say};

/// The pause between two looks whether a full spool has room again.
const LOOK: Duration = Duration::from_millis(500);

/// Which part of the spool's limit may come in between two housekeepings, each of which looks at every file.
const HOUSEKEEPING: u64 = 16;

/// Size of a record on disk, in bytes: a block of most file systems.
const RECORD: u64 = 4096;

/// Notifications that wait in memory at most: a page of the feed has 25 stages, of as many runs.
const MOST_PENDING: usize = 512;

/// The most refusals of the rules that are kept to be printed.
const MOST_NAMED: usize = 10;

/// Records in the spool.
pub(super) struct SpoolSink<'a> {
    context: &'a Context,
    deliverer: &'a Deliverer,
    stop: &'a Stop,
    quiet: bool,
    /// By run: what was taken and is not recorded yet.
    pending: Vec<Vec<(Hook, Notification)>>,
    /// Bytes that came in since the last housekeeping.
    came_in: u64,
    told_full: bool,
    /// Notifications that the rules or a policy refused.
    losses: Losses,
}

/// Notifications that were not recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Notifications that were refused.
    pub(super) refused: usize,
    /// Notifications that a policy dropped.
    pub(super) dropped: usize,
    /// The first reasons.
    pub(super) reasons: Vec<String>,
}

impl<'a> SpoolSink<'a> {
    pub(super) fn new(context: &'a Context, deliverer: &'a Deliverer, stop: &'a Stop, quiet: bool) -> Self {
        Self {
            context,
            deliverer,
            stop,
            quiet,
            pending: Vec::new(),
            // Enough to call for one, since it is not known what was there before.
            came_in: u64::MAX,
            told_full: false,
            losses: Losses::default(),
        }
    }

    /// What was not recorded since the last time this was asked.
    pub(super) fn losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Has everything on disk that was taken.
    pub(super) fn flush(&mut self) -> Result<(), SinkError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.came_in >= self.context.settings.spool_limit / HOUSEKEEPING {
            self.came_in = 0;
            self.tidy();
        }
        let runs = std::mem::take(&mut self.pending);
        match self.record(runs.concat()) {
            Err(BatchError::Spool(SpoolError::TooMany { .. })) => {
                // One of them can never be recorded, and must not keep the others out.
                for run in runs {
                    let name = run
                        .first()
                        .and_then(|(_, first)| first.reference_id.clone())
                        .unwrap_or_default();
                    match self.record(run) {
                        Err(BatchError::Spool(error @ SpoolError::TooMany { .. })) => {
                            self.losses.refused += 1;
                            self.note(format!("{name}: {error}"));
                        }
                        done => done.map_err(|error| SinkError(error.to_string()))?,
                    }
                }
            }
            done => done.map_err(|error| SinkError(error.to_string()))?,
        }
        self.deliverer.wake();
        Ok(())
    }

    /// Records, as soon as there is room.
    fn record(&mut self, notifications: Vec<(Hook, Notification)>) -> Result<(), BatchError> {
        let batch = loop {
            match self.context.reporter.record_all(notifications.iter().cloned()) {
                Ok(batch) => break batch,
                Err(full) if full.is_full() && self.waits_for_room(&full) => {}
                Err(error) => return Err(error),
            }
        };
        self.came_in = self.came_in.saturating_add(batch.recorded as u64 * RECORD);
        self.losses.refused += batch.refused.len();
        self.losses.dropped += batch.discarded;
        for (id, refused) in &batch.refused {
            self.note(format!("{id}: {refused}"));
        }
        if let Some(why) = batch.unjudged {
            self.note(format!("{why}; it is kept and judged again by the next flush"));
        }
        Ok(())
    }

    /// Waits until the spool may have room again; not if that will never be, or the reading is to stop.
    fn waits_for_room(&mut self, full: &BatchError) -> bool {
        if self.deliverer.impossible().is_some() {
            return false;
        }
        if !self.told_full {
            self.told_full = true;
            if !self.quiet {
                say(&format!(
                    "pipefold: warning: {}; reading goes on as soon as DX has taken something",
                    neutral(&full.to_string())
                ));
            }
        }
        self.deliverer.wake();
        if !self.stop.sleep(LOOK) {
            return false;
        }
        self.tidy();
        true
    }

    fn tidy(&self) {
        if let Ok(spool) = self.context.reporter.spool()
            && let Err(error) = spool.prune()
        {
            tracing::info!(%error, "housekeeping of the spool failed");
        }
    }

    fn note(&mut self, reason: String) {
        if self.losses.reasons.len() < MOST_NAMED && !self.losses.reasons.contains(&reason) {
            self.losses.reasons.push(reason);
        }
    }
}

/// The engine's hand on the sink.
pub(super) struct Taking<'s, 'a>(pub(super) &'s RefCell<SpoolSink<'a>>);

impl Sink for Taking<'_, '_> {
    fn take(&mut self, run: &Reported) -> Result<(), SinkError> {
        let mut sink = self.0.borrow_mut();
        sink.pending.push(notifications(run));
        if sink.pending.iter().map(Vec::len).sum::<usize>() >= MOST_PENDING {
            sink.flush()?;
        }
        Ok(())
    }
}

/// The engine's memory, which comes after the spool.
pub(super) struct Remembered<'s, 'a> {
    pub(super) files: StateFiles,
    pub(super) sink: &'s RefCell<SpoolSink<'a>>,
}

impl StateStore for Remembered<'_, '_> {
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError> {
        self.files.load(pipeline)
    }

    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError> {
        let recorded = self.sink.borrow_mut().flush();
        recorded.map_err(|error| StateError::Storage(error.to_string()))?;
        self.files.save(pipeline, state)
    }

    fn load_server(&self) -> Result<Option<ServerState>, StateError> {
        self.files.load_server()
    }

    fn save_server(&self, state: &ServerState) -> Result<(), StateError> {
        self.files.save_server(state)
    }
}

/// A run's notifications with their hooks, the end of each attempt last: a delivery that looks in between does not see an attempt end
/// before its steps are there.
fn notifications(run: &Reported) -> Vec<(Hook, Notification)> {
    let of_attempt = |attempt: &News| {
        let start = attempt.start.iter().map(|start| (Hook::Start, start.clone()));
        let steps = attempt.steps.iter().map(|step| (Hook::Step, step.clone()));
        let finish = attempt.finish.iter().map(|finish| (Hook::Finish, finish.clone()));
        start.chain(steps).chain(finish).collect::<Vec<_>>()
    };
    run.attempts.iter().flat_map(of_attempt).collect()
}
